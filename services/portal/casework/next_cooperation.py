"""The next step of a case from the organisation's yes on: the meeting, the agreement, and following up."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from services.portal.casework.known import FAMILY, YOU, Known, NextStep, agreement_of, evaluation_now
from services.portal.rendering import as_day
from services.portal.texts import _


def of_cooperation(known: Known, referral: Mapping[str, Any], by: date | None) -> NextStep:
    """Return what happens next with a referral that the organisation has taken."""
    agreement = agreement_of(known, referral)
    if agreement is None:
        return NextStep(
            text=_("Hold a start-up meeting with the family and the organisation."),
            by=by,
            rest="/agreement",
            link=_("Go to the agreement"),
        )
    at = f"/agreement/{agreement['agreement_id']}"
    match agreement["status"]:
        case "invited":
            return NextStep(
                text=_("Hold a start-up meeting with the family and the organisation, and note who came."),
                by=as_day(agreement["meeting_by"]) if agreement["meeting_by"] else by,
                rest=f"{at}/meeting",
                link=_("Note the meeting"),
            )
        case "met":
            return NextStep(
                text=_("Write the agreement: goals, who does what, how long, and what it costs."),
                rest=f"{at}/proposal",
                link=_("Write the agreement"),
            )
        case "proposed":
            return _of_signatures(agreement, agreement["proposal"])
        case _:
            return _of_follow_up(known, agreement)


_SIGNERS: Final[Mapping[str, str]] = {
    "organisation": _("The organisation"),
    "family": FAMILY,
    "young_person": _("The young person"),
}


def _of_signatures(agreement: Mapping[str, Any], terms: Mapping[str, Any]) -> NextStep:
    signed = {one["party"] for one in terms["signed"]}
    missing = [party for party in agreement["must_sign"] if party not in signed]
    ours = not missing or "municipality" in missing
    return NextStep(
        text=_("Sign the agreement for the municipality.") if ours else _("The agreement is signed."),
        who=YOU if ours else _SIGNERS[missing[0]],
        by=as_day(terms["starts_on"]),
        rest="/agreement",
        link=_("Read and sign") if ours else _("See who has signed"),
    )


def _of_follow_up(known: Known, agreement: Mapping[str, Any]) -> NextStep:
    """Return what comes first while the cooperation runs: an evaluation, or the next update."""
    if agreement["proposal"]:
        return _of_signatures(agreement, agreement["proposal"])
    if due := evaluation_now(known, agreement):
        return NextStep(
            text=_("Hear the child, the family and the organisation, and decide how to go on."),
            by=as_day(due["due_on"]),
            rest="/evaluation",
            link=_("Go to the evaluation"),
        )
    if agreement["adjustable"]:
        return NextStep(
            text=_("Write a new version of the agreement, as you decided at the evaluation."),
            rest=f"/agreement/{agreement['agreement_id']}/proposal",
            link=_("Write a new version"),
        )
    update = agreement["next_update"]
    return NextStep(
        text=_("The organisation tells how it goes."),
        who=_("The organisation"),
        names=tuple(filter(None, [known.organisations.get(str(agreement["organisation_id"]))])),
        by=as_day(update["due_on"]) if update else None,
        rest="/agreement",
        link=_("See how it goes"),
    )
