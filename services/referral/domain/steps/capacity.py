"""Capacity of an offer and standing of its organisation; pure.

A place is taken and released in the same decision that moves the referral.
"""

from collections.abc import Mapping
from datetime import date
from uuid import UUID

from msgspec.structs import replace

from contracts.referral import PlaceReleased, PlaceTaken
from services.kernel.decider.decision import Context, Decision
from services.referral.domain.refusals import (
    DeclarationExpired,
    NoPlaceFree,
    OfferUnknown,
    OrganisationNotJoined,
)
from services.referral.domain.states import Offer, Organisation, Placed, Referral


def take_place(referral_id: UUID, offer_id: UUID, context: Context) -> Mapping[UUID, Decision]:
    """Return the offer with one more place taken.

    Raises `OfferUnknown` where the offer is not on record, and `NoPlaceFree` where no place is left.
    """
    offer = context.others.get(offer_id)
    if not isinstance(offer, Offer):
        raise OfferUnknown
    if offer.taken >= offer.places:
        raise NoPlaceFree(f"{offer.places}")
    taken = offer.taken + 1
    return {
        offer_id: Decision(replace(offer, taken=taken), (PlaceTaken(referral_id=referral_id, taken=taken),))
    }


def release_place(referral_id: UUID, referral: Referral, context: Context) -> Mapping[UUID, Decision]:
    """Return the offer with the referral's place free again; nothing where it had none."""
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


def require_standing(organisation: object, today: date) -> None:
    """Raise `OrganisationNotJoined` or `DeclarationExpired` where an organisation may get no referral."""
    if not isinstance(organisation, Organisation) or not organisation.joined:
        raise OrganisationNotJoined
    if organisation.declaration_until < today:
        raise DeclarationExpired
