"""The next step of a case: what happens next, who does it, by when, and where; in one place."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from services.portal.casework import stages
from services.portal.casework.known import COLLEAGUE, FAMILY, Known, NextStep
from services.portal.casework.next_cooperation import of_cooperation
from services.portal.casework.words import person_names
from services.portal.rendering import as_day
from services.portal.texts import _

_PLANNING: Final[Mapping[str, NextStep]] = {
    "views": NextStep(
        text=_("Talk with the child and the family, and write down how they see it themselves."),
        rest="/views",
        link=_("Write down their views"),
    ),
    "eligibility": NextStep(
        text=_("Assess whether volunteers can help, by the model's criteria."),
        rest="/eligibility",
        link=_("Assess the case"),
    ),
    "not_eligible": NextStep(
        text=_(
            "The case is outside the target group. Close it, or assess it again if something has changed."
        ),
        rest="/close",
        link=_("Close the case"),
    ),
    "custody": NextStep(
        text=_("Write down who holds parental responsibility: they are the ones who must say yes."),
        rest="/custody",
        link=_("Write down who they are"),
    ),
    "offer": NextStep(
        text=_("Choose an offer that fits, and say which public help goes on."),
        rest="/offers",
        link=_("Choose an offer"),
    ),
    "again": NextStep(
        text=_("The last referral is over. Choose another offer, or close the case."),
        rest="/offers",
        link=_("Choose an offer"),
    ),
}


def next_step(known: Known) -> NextStep | None:
    """Return what happens next in a case; None where it is closed."""
    case = known.case
    if case["closed"]:
        return None
    if not case["views"]:
        return _PLANNING["views"]
    if not case["eligibility"]:
        return _PLANNING["eligibility"]
    referral = stages.live_referral(case)
    if referral is None:
        return _before_referral(known)
    return _of_referral(known, referral)


def _before_referral(known: Known) -> NextStep:
    if not known.case["eligibility"]["eligible"]:
        return _PLANNING["not_eligible"]
    if known.consent and known.consent["custody"] is None:
        return _PLANNING["custody"]
    return _PLANNING["again" if known.case["referrals"] else "offer"]


def _of_referral(known: Known, referral: Mapping[str, Any]) -> NextStep:
    organisation = known.organisations.get(str(referral["organisation_id"]), "")
    by = as_day(referral["due_on"]) if referral["due_on"] else None
    at = f"/referral/{referral['referral_id']}"
    match referral["status"]:
        case "drafted" if known.consent and known.consent["custody"] is None:
            return _PLANNING["custody"]
        case "drafted":
            return NextStep(
                text=_("Ask the family for consent to share what the organisation needs to know."),
                rest=f"{at}/ask",
                link=_("Ask for consent"),
            )
        case "awaiting_consent":
            return _of_consent(known, referral, by)
        case "ready":
            return NextStep(
                text=_("Everybody has said yes. Send the referral."),
                by=by,
                rest="/referral",
                link=_("Send the referral"),
            )
        case "sent" | "seen":
            return NextStep(
                text=_("The organisation says whether it takes the case."),
                who=_("The organisation"),
                names=(organisation,) if organisation else (),
                by=by,
                rest="/referral",
                link=_("See the referral"),
            )
        case _:
            return of_cooperation(known, referral, by)


def _of_consent(known: Known, referral: Mapping[str, Any], by: date | None) -> NextStep:
    """Return who must still answer, or confirm what was minuted."""
    names = person_names(known.consent) if known.consent else {}
    asked = [
        one
        for one in (known.consent["consents"] if known.consent else ())
        if one["referral_id"] == referral["referral_id"]
    ]
    silent = [one for one in asked if one["status"] == "requested"]
    minuted = [one for one in asked if one["status"] == "minuted"]
    if minuted and not silent:
        return NextStep(
            text=_("A colleague confirms the yes that you put on record."),
            who=COLLEAGUE,
            by=min(as_day(one["confirm_by"]) for one in minuted if one["confirm_by"]),
            rest="/consent",
            link=_("See the consents"),
        )
    return NextStep(
        text=_("The family says whether you may share it."),
        who=FAMILY,
        names=tuple(name for one in silent if (name := names.get(str(one["person_id"]), ""))),
        by=by,
        rest="/consent",
        link=_("See who has answered"),
    )
