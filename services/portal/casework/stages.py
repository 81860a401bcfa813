"""Stages of a case and of its referrals, in words and by one table."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from services.portal.texts import _

WAITS_FOR_US: Final = "warning"
WAITS_FOR_OTHERS: Final = "info"
GOES_WELL: Final = "success"
IS_OVER: Final = "neutral"


class Stage(Struct, frozen=True):
    """Where something stands: a marked word for a tag, and the kind of tag."""

    text: str
    kind: str


OF_CASE: Final[Mapping[str, Stage]] = {
    "opened": Stage(_("New case"), WAITS_FOR_US),
    "views_noted": Stage(_("Views are noted"), WAITS_FOR_US),
    "eligible": Stage(_("Within the target group"), WAITS_FOR_US),
    "not_eligible": Stage(_("Outside the target group"), WAITS_FOR_US),
    "closed": Stage(_("Closed"), IS_OVER),
}
"""Stages of a case without a referral that is under way."""

OF_REFERRAL: Final[Mapping[str, Stage]] = {
    "drafted": Stage(_("Offer chosen"), WAITS_FOR_US),
    "awaiting_consent": Stage(_("Waits for consent"), WAITS_FOR_OTHERS),
    "ready": Stage(_("Ready to send"), WAITS_FOR_US),
    "sent": Stage(_("Waits for the organisation"), WAITS_FOR_OTHERS),
    "seen": Stage(_("Waits for the organisation"), WAITS_FOR_OTHERS),
    "accepted": Stage(_("The organisation has said yes"), WAITS_FOR_US),
    "under_way": Stage(_("The cooperation is running"), GOES_WELL),
    "closed": Stage(_("The cooperation has ended"), IS_OVER),
    "declined": Stage(_("The organisation said no"), IS_OVER),
    "recalled": Stage(_("Taken back"), IS_OVER),
    "withdrawn": Stage(_("The consent was taken back"), IS_OVER),
    "expired": Stage(_("Nobody answered in time"), IS_OVER),
}

OF_PERMISSION: Final[Mapping[str, Stage]] = {
    "awaited": Stage(_("Waits for an answer"), WAITS_FOR_OTHERS),
    "granted": Stage(_("Everybody has said yes"), GOES_WELL),
    "lost": Stage(_("May not be shared"), IS_OVER),
    "over": Stage(_("The referral is over"), IS_OVER),
}

OF_CONSENT: Final[Mapping[str, Stage]] = {
    "requested": Stage(_("Has not answered"), WAITS_FOR_OTHERS),
    "minuted": Stage(_("Yes, waits for a colleague"), WAITS_FOR_US),
    "given": Stage(_("Yes"), GOES_WELL),
    "refused": Stage(_("No"), IS_OVER),
    "withdrawn": Stage(_("Taken back"), IS_OVER),
    "expired": Stage(_("Has run out"), IS_OVER),
    "invalidated": Stage(_("No longer counts"), IS_OVER),
}

OF_AGREEMENT: Final[Mapping[str, Stage]] = {
    "invited": Stage(_("Start-up meeting to be held"), WAITS_FOR_US),
    "met": Stage(_("Agreement to be written"), WAITS_FOR_US),
    "proposed": Stage(_("Waits for signatures"), WAITS_FOR_OTHERS),
    "in_force": Stage(_("In force"), GOES_WELL),
    "ended": Stage(_("Ended"), IS_OVER),
}

OF_EVALUATION: Final[Mapping[str, Stage]] = {
    "planned": Stage(_("Planned"), WAITS_FOR_OTHERS),
    "due": Stage(_("To be held now"), WAITS_FOR_US),
    "missed": Stage(_("Was not held in time"), WAITS_FOR_US),
    "concluded": Stage(_("Concluded"), GOES_WELL),
    "cancelled": Stage(_("Not needed"), IS_OVER),
}

LIVE: Final = frozenset({"drafted", "awaiting_consent", "ready", "sent", "seen", "accepted", "under_way"})
"""The statuses of a referral that is not over."""

TAKEN: Final = frozenset({"accepted", "under_way", "closed"})
"""The statuses of a referral that the organisation took, and of which there is an agreement."""


def live_referral(case: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the referral of a case that is not over; the latest where there are several."""
    return next((one for one in reversed(case["referrals"]) if one["status"] in LIVE), None)


def last_referral(case: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the referral that a case is at: one that is not over, else the latest."""
    return live_referral(case) or (case["referrals"][-1] if case["referrals"] else None)


def status_of(case: Mapping[str, Any]) -> str:
    """Return the status of a case that was read, as lists have it."""
    if case["closed"]:
        return "closed"
    if case["eligibility"]:
        return "eligible" if case["eligibility"]["eligible"] else "not_eligible"
    return "views_noted" if case["views"] else "opened"


def stage_of(status: str, referral_status: str | None) -> Stage:
    """Return the stage of a case by its own status and that of the referral it is at."""
    if status in {"eligible", "views_noted"} and referral_status:
        return OF_REFERRAL[referral_status]
    return OF_CASE[status]
