"""Referrals to an organisation: its coordinator reads what came, answers, and confirms deletions."""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel, Field

from services.kernel.errors import NotFound
from services.portal.catalogue import options_of
from services.portal.forms import Choice, Form, Number
from services.portal.pages.page import Area, Page
from services.portal.texts import _
from services.portal.visit import Visit

AREA: Final = Area()
COORDINATOR: Final = ("coordinator",)

REFERRALS: Final = Page(
    "/referrals",
    "coordinator/referrals.html",
    _("Referrals"),
    COORDINATOR,
    calls=("referral.inbox",),
    menu=_("Referrals"),
    done={
        "accepted": _("You have taken the referral. The municipality invites you all to a first meeting."),
        "declined": _("You have declined. The municipality is told, and you can no longer see the referral."),
        "deleted": _("Thank you. The municipality is told that you have deleted what you had."),
    },
)
REFERRAL: Final = Page(
    "/referrals/{case_id}/{referral_id}",
    "coordinator/referral.html",
    _("Referral"),
    COORDINATOR,
    looks=("referral",),
    calls=("referral.case", "directory.offer"),
    commands=("accept",),
    parent=REFERRALS,
)
DECLINE: Final = Page(
    "/referrals/{case_id}/{referral_id}/decline",
    "coordinator/decline.html",
    _("Decline a referral"),
    COORDINATOR,
    looks=("referral",),
    calls=("referral.case", "directory.offer"),
    commands=("decline",),
    parent=REFERRALS,
)
DELETION: Final = Page(
    "/referrals/{case_id}/{referral_id}/deletion",
    "coordinator/deletion.html",
    _("Confirm that you have deleted"),
    COORDINATOR,
    calls=("referral.inbox",),
    commands=("confirm",),
    parent=REFERRALS,
)
WAITING: Final = frozenset({"sent", "seen"})
GOING: Final = frozenset({"accepted", "under_way"})


class Decline(BaseModel):
    """Why the organisation does not take the case, and how many places it has in fact."""

    reason: str
    places: Annotated[int, Field(ge=0, le=10_000)] | None = None


DECLINE_FORM: Final = Form(
    Decline,
    reason=Choice(
        _("Why can you not take it?"), sentences={"missing": _("Choose the reason that fits best")}
    ),
    places=Number(
        _("How many places does the offer have now?"),
        _("Leave it empty if the number is right. The catalogue is corrected at once."),
    ),
)


@AREA.get(REFERRALS)
async def referrals(visit: Visit) -> Response:
    """List what waits for an answer, what is under way, and what must be deleted."""
    found = await visit.items("referral", "/referral/inbox", limit=100)
    offers = {one["offer_id"]: await visit.offer(one["offer_id"]) for one in found}
    return visit.render(
        waiting=[one for one in found if one["status"] in WAITING],
        going=[one for one in found if one["status"] in GOING],
        to_delete=[one for one in found if one["status"] not in WAITING | GOING],
        offers=offers,
    )


@AREA.get(REFERRAL)
async def referral(visit: Visit, case_id: UUID, referral_id: UUID) -> Response:
    """Show what the family lets the organisation know; opening it is put on record as seen."""
    case, one = await _referral(visit, case_id, referral_id)
    if one["status"] == "sent":
        await visit.note("referral", f"/referral/cases/{case_id}/referrals/{referral_id}/see")
        case, one = await _referral(visit, case_id, referral_id)
    return visit.render(
        case=case, one=one, model=await visit.model(), offer=await visit.offer(one["offer_id"])
    )


@AREA.post(REFERRAL, "accept")
async def accept(visit: Visit, case_id: UUID, referral_id: UUID) -> Response:
    """Take the case."""
    await visit.command("referral", f"/referral/cases/{case_id}/referrals/{referral_id}/accept")
    return visit.redirect(REFERRALS, done="accepted")


@AREA.get(DECLINE)
async def ask_why(visit: Visit, case_id: UUID, referral_id: UUID) -> Response:
    """Ask for the reason, and for the places of the offer in the same step."""
    _case, one = await _referral(visit, case_id, referral_id)
    model, offer = await visit.model(), await visit.get("directory", f"/directory/offers/{one['offer_id']}")
    reasons = [reason for reason in model["decline_reasons"] if reason.get("side") == "organisation"]
    form = visit.form(DECLINE_FORM).with_options(reason=options_of(reasons, visit.language))
    return visit.render(one=one, offer=offer, form=form)


@AREA.post(DECLINE, "decline")
async def decline(visit: Visit, case_id: UUID, referral_id: UUID) -> Response:
    """Decline, after the places were corrected: afterwards the referral can be seen no more."""
    said = visit.bind(DECLINE_FORM).value
    offer_id, version = visit.sent.text("offer_id"), visit.sent.text("offer_version")
    if said.places is not None and offer_id:
        body = {"places": said.places}
        await visit.command(
            "directory", f"/directory/offers/{offer_id}/capacity", body, step=1, version=version
        )
    at = f"/referral/cases/{case_id}/referrals/{referral_id}"
    await visit.command("referral", f"{at}/decline", {"reason": said.reason})
    return visit.redirect(REFERRALS, done="declined")


@AREA.get(DELETION)
async def ask_for_deletion(visit: Visit, case_id: UUID, referral_id: UUID) -> Response:
    """Say what must be deleted, and by when."""
    found = await visit.items("referral", "/referral/inbox", limit=100)
    one = next((line for line in found if line["referral_id"] == str(referral_id)), None)
    if one is None or one["case_id"] != str(case_id):
        raise NotFound
    return visit.render(one=one)


@AREA.post(DELETION, "confirm")
async def confirm_deletion(visit: Visit, case_id: UUID, referral_id: UUID) -> Response:
    """Put on record that the organisation has deleted its copy."""
    at = f"/referral/cases/{case_id}/referrals/{referral_id}"
    await visit.command("referral", f"{at}/confirm-deletion")
    return visit.redirect(REFERRALS, done="deleted")


async def _referral(visit: Visit, case_id: UUID, referral_id: UUID) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a case as the organisation may see it, and the one referral of it."""
    case = await visit.get("referral", f"/referral/cases/{case_id}")
    for one in case["referrals"]:
        if one["referral_id"] == str(referral_id):
            return case, one
    raise NotFound
