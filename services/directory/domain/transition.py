"""One transition of the directory: the document, the municipality's model and its local day."""

from datetime import date

from msgspec import Struct

from contracts.event import municipality_stream
from contracts.model import CollaborationModel
from services.directory.domain.refusals import ModelMissing
from services.directory.domain.states import Municipality, Organisation, State
from services.kernel.decider.decision import Context
from services.kernel.decider.working_days import calendar_of
from services.kernel.errors import NotFound


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

    def today(self, model: CollaborationModel) -> date:
        """Return the local day of the step, in the time zone of a model."""
        return calendar_of(model).today(self.context.now)
