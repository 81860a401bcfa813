"""What is heard from the directory, and the places of an offer, which no two referrals may share."""

from collections.abc import Mapping
from uuid import UUID

from msgspec.structs import replace

from contracts.directory import (
    CapacityChanged,
    ModelAdopted,
    OfferPublished,
    OrganisationJoined,
    OrganisationLeft,
)
from contracts.event import Event
from contracts.referral import PlaceReleased, PlaceTaken
from services.kernel.decider.decision import Context, Decision
from services.referral.domain_refusals import NoPlaceFree, OfferUnknown
from services.referral.domain_states import Municipality, Offer, Organisation, Placed, Referral, State


def hear_directory(state: State | None, heard: Event) -> Decision:
    """Remember who takes part, with what, under which model.

    An administrator chooses the id of an organisation: one that is something else here, as a case, changes
    nothing of it.
    """
    match heard:
        case ModelAdopted() if isinstance(state, Municipality | None):
            return Decision(Municipality(model=heard.model, model_version=heard.version))
        case OrganisationJoined() if isinstance(state, Organisation | None):
            return Decision(Organisation(joined=True, declaration_until=heard.declaration_until))
        case OrganisationLeft() if isinstance(state, Organisation):
            return Decision(replace(state, joined=False))
        case OfferPublished() if isinstance(state, Offer | None):
            return Decision(_offer(heard, state.taken if state else 0))
        case CapacityChanged() if isinstance(state, Offer):
            return Decision(replace(state, places=heard.places))
    return Decision(state)


def taking(referral_id: UUID, offer_id: UUID, context: Context) -> Mapping[UUID, Decision]:
    """Return the offer with one more place taken; raise `NoPlaceFree` where there is none."""
    offer = context.others.get(offer_id)
    if not isinstance(offer, Offer):
        raise OfferUnknown
    if offer.taken >= offer.places:
        raise NoPlaceFree(f"{offer.places}")
    taken = offer.taken + 1
    return {
        offer_id: Decision(replace(offer, taken=taken), (PlaceTaken(referral_id=referral_id, taken=taken),))
    }


def releasing(referral_id: UUID, referral: Referral, context: Context) -> Mapping[UUID, Decision]:
    """Return the offer with the place free again that the referral had, if it had one."""
    offer_id = referral.plan.offer_id
    offer = context.others.get(offer_id)
    if not isinstance(referral, Placed) or not isinstance(offer, Offer):
        return {}
    taken = offer.taken - 1
    return {
        offer_id: Decision(
            replace(offer, taken=taken), (PlaceReleased(referral_id=referral_id, taken=taken),)
        )
    }


def _offer(heard: OfferPublished, taken: int) -> Offer:
    return Offer(
        organisation_id=heard.organisation_id,
        theme=heard.theme,
        age_from=heard.age_from,
        age_to=heard.age_to,
        areas=heard.areas,
        places=heard.places,
        taken=taken,
    )
