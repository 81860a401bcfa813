"""One referral's turn: the case it stands in, the rules it follows, and how it is moved on."""

from collections.abc import Mapping
from datetime import date
from typing import Final
from uuid import UUID

from msgspec import Struct

from contracts.event import Event
from contracts.model import CollaborationModel
from services.kernel.decider.decision import Context, Decision
from services.kernel.decider.working_days import Calendar, calendar_of
from services.kernel.errors import ConsentUnknown
from services.referral.domain_refusals import ConsentMissing
from services.referral.domain_states import AwaitingConsent, Case, Granted, Ready, Referral, Shared
from services.referral.timers import after, wound

_NOTHING: Final[Mapping[UUID, Decision]] = {}


class Turn(Struct, frozen=True):
    """One referral of a case, and what is given to decide about it."""

    case: Case
    referral_id: UUID
    given: Context

    @property
    def model(self) -> CollaborationModel:
        """Return the version of the model that the case follows."""
        return self.given.models[self.case.ref]

    @property
    def calendar(self) -> Calendar:
        """Return the working days by which deadlines count."""
        return calendar_of(self.model)

    @property
    def today(self) -> date:
        """Return the local day."""
        return self.calendar.today(self.given.now)

    def due_in(self, days: int) -> date:
        """Return the day that lies a number of working days ahead."""
        return after(self.calendar, self.today, days)

    def noted(self, referral: Referral, event: Event, others: Mapping[UUID, Decision] = _NOTHING) -> Decision:
        """Return the case with the referral moved on; its clock stays as it is."""
        return Decision(self.case.with_referral(self.referral_id, referral), (event,), others=others)

    def moved(self, referral: Referral, event: Event, others: Mapping[UUID, Decision] = _NOTHING) -> Decision:
        """Return the case with the referral moved on, and its clock set anew."""
        case = self.case.with_referral(self.referral_id, referral)
        clock = wound(self.referral_id, referral, self.model, self.given.now)
        return Decision(case, (event,), (clock,), others=others)

    def covers(self, referral: AwaitingConsent | Ready | Shared) -> bool:
        """Return whether a valid consent names this organisation, this purpose and all of these facts."""
        consent = self.case.consents.get(self.referral_id)
        return (
            isinstance(consent, Granted)
            and self.given.now < consent.until
            and consent.organisation_id == referral.plan.organisation_id
            and consent.scope.purpose == referral.scope.purpose
            and set(referral.scope.facts) <= set(consent.scope.facts)
        )

    def must_cover(self, referral: Ready | Shared) -> None:
        """Raise `ConsentUnknown` or `ConsentMissing` where the gate is not surely open."""
        if not self.given.consents_fresh:
            raise ConsentUnknown
        if not self.covers(referral):
            raise ConsentMissing
