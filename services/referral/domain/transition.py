"""Context of one transition: what a step may use besides the state and the trigger; pure."""

from collections.abc import Mapping
from datetime import date
from typing import Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from contracts.event import Event
from contracts.model import CollaborationModel
from contracts.referral import PlaceReleased, PlaceTaken
from services.kernel.decider.decision import Context, Decision
from services.kernel.decider.working_days import Calendar, calendar_of
from services.referral.domain.deadlines import schedule
from services.referral.domain.refusals import NoPlaceFree, OfferUnknown
from services.referral.domain.states import Case, Offer, Placed, Referral

_NO_OTHERS: Final[Mapping[UUID, Decision]] = {}


class DocumentTransition(Struct, frozen=True):
    """A transition of a whole document: a case, an offer, an organisation or a municipality."""

    context: Context

    def model_of(self, case: Case) -> CollaborationModel:
        """Return the version of the model that a case follows."""
        return self.context.models[case.ref]


class Transition(DocumentTransition, frozen=True):
    """A transition of one referral: its case, its id, and the model, calendar and day that deadlines use."""

    case: Case
    referral_id: UUID
    model: CollaborationModel
    calendar: Calendar
    today: date

    def day_after(self, days: int) -> date:
        """Return the day a number of working days from today."""
        return self.calendar.after(self.today, days)

    def changed(
        self, after: Referral, event: Event, others: Mapping[UUID, Decision] = _NO_OTHERS
    ) -> Decision:
        """Return the case with the referral in a new state; its timer stays as it is."""
        referrals = {**self.case.referrals, self.referral_id: after}
        return Decision(replace(self.case, referrals=referrals), (event,), others=others)

    def moved(self, after: Referral, event: Event, others: Mapping[UUID, Decision] = _NO_OTHERS) -> Decision:
        """Return the case with the referral in a new state, and the timer of that state."""
        referrals = {**self.case.referrals, self.referral_id: after}
        timer = schedule(self.referral_id, after, self.model, self.calendar, self.context.now)
        return Decision(replace(self.case, referrals=referrals), (event,), (timer,), others=others)

    def place_taken(self, offer_id: UUID) -> Mapping[UUID, Decision]:
        """Return the offer with one more place taken, in the same decision that moves the referral.

        Raises `OfferUnknown` where the offer is not on record, and `NoPlaceFree` where no place is left.
        """
        offer = self.context.others.get(offer_id)
        if not isinstance(offer, Offer):
            raise OfferUnknown
        if offer.taken >= offer.places:
            raise NoPlaceFree(f"{offer.places}")
        event = PlaceTaken(referral_id=self.referral_id, taken=offer.taken + 1)
        return {offer_id: Decision(replace(offer, taken=event.taken), (event,))}

    def place_released(self, before: Referral) -> Mapping[UUID, Decision]:
        """Return the offer with the referral's place free again; nothing where it had none."""
        offer_id = before.plan.offer_id
        offer = self.context.others.get(offer_id)
        if not isinstance(before, Placed) or not isinstance(offer, Offer):
            return _NO_OTHERS
        event = PlaceReleased(referral_id=self.referral_id, taken=offer.taken - 1)
        return {offer_id: Decision(replace(offer, taken=event.taken), (event,))}


def transition_of(case: Case, referral_id: UUID, context: Context) -> Transition:
    """Return the transition of one referral, under the version of the model that its case follows."""
    model = context.models[f"{case.model}/{case.model_version}"]
    calendar = calendar_of(model)
    return Transition(context, case, referral_id, model, calendar, calendar.today(context.now))
