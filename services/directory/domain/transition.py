"""One transition of the directory: the document, the municipality's model and its local day."""

from collections.abc import Mapping
from datetime import date
from typing import Final
from uuid import UUID

from msgspec import Struct

from contracts.event import municipality_stream
from contracts.model import CollaborationModel
from services.directory.domain.refusals import ModelMissing
from services.directory.domain.states import (
    Account,
    Holder,
    Invitation,
    Machine,
    Municipality,
    Organisation,
    State,
)
from services.kernel.decider.decision import Context
from services.kernel.decider.working_days import Calendar, calendar_of
from services.kernel.errors import NotFound

_WITHOUT_MODEL: Final = Calendar("dk", (), "Europe/Copenhagen")
"""Denmark and Norway have the same time."""


class Transition(Struct, frozen=True):
    """The stream's document before a step, and the context of the step."""

    document: State | None
    context: Context

    @property
    def municipality(self) -> Municipality:
        """Return the municipality of this stream, as it is in its own document or in the related stream."""
        municipality_id = municipality_stream(self.context.tenant)
        found: object = self.document
        if not isinstance(found, Municipality) and self.context.stream_id != municipality_id:
            found = self.context.others.get(municipality_id)
        return found if isinstance(found, Municipality) else Municipality()

    @property
    def organisation(self) -> Organisation:
        """Return the document of an organisation's stream; raises `NotFound` where it is none."""
        if not isinstance(self.document, Organisation):
            raise NotFound
        return self.document

    @property
    def model(self) -> CollaborationModel:
        """Return the model that the municipality follows; raises `ModelMissing` where there is none."""
        adoption = self.municipality.adoption
        model = self.context.models.get(f"{adoption.model}/{adoption.version}") if adoption else None
        if model is None:
            raise ModelMissing
        return model

    @property
    def calendar(self) -> Calendar:
        """Return the calendar of the model that the municipality follows, or of one that follows none yet."""
        return calendar_in(self.municipality, self.context.models)

    @property
    def local_day(self) -> date:
        """Return the local day of the step, whether or not the municipality follows a model."""
        return self.calendar.today(self.context.now)

    @property
    def invitation(self) -> Invitation:
        """Return the invitation of this stream; raises `NotFound` where it is none."""
        return invitation_of(self.document)

    @property
    def holder(self) -> Holder:
        """Return the account of this stream; raises `NotFound` where it is none."""
        return holder_of(self.document)

    def account(self, account_id: UUID) -> Account | None:
        """Return another account that the step reads; None where there is none."""
        found: object = self.context.others.get(account_id)
        return found if isinstance(found, Account) else None

    def today(self, model: CollaborationModel) -> date:
        """Return the local day of the step, in the time zone of a model."""
        return calendar_of(model).today(self.context.now)


def calendar_in(municipality: Municipality, models: Mapping[str, CollaborationModel]) -> Calendar:
    """Return the calendar of the model that a municipality follows, or of one that follows none yet."""
    adoption = municipality.adoption
    model = models.get(f"{adoption.model}/{adoption.version}") if adoption else None
    return calendar_of(model) if model else _WITHOUT_MODEL


def invitation_of(state: State | None) -> Invitation:
    """Return the invitation that a state is; raises `NotFound` for any other."""
    if not isinstance(state, Invitation):
        raise NotFound
    return state


def holder_of(state: State | None) -> Holder:
    """Return the account that a state is; raises `NotFound` for any other."""
    if not isinstance(state, Account | Machine):
        raise NotFound
    return state


def machine_of(state: State | None) -> Machine:
    """Return the program's account that a state is; raises `NotFound` for any other."""
    if not isinstance(state, Machine):
        raise NotFound
    return state
