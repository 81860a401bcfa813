"""One case: the overview, its log, and its end."""

from typing import Any, Final
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel

from services.portal.casework.case_file import CASEWORKER, file_of, organisations_in
from services.portal.casework.known import Known
from services.portal.casework.next_step import next_step
from services.portal.casework.tasks import tasks_of
from services.portal.casework.timeline import happened_in
from services.portal.course import course_of
from services.portal.forms import Choice, Form
from services.portal.pages.page import Area, Page
from services.portal.service_client import SILENT
from services.portal.texts import _
from services.portal.visit import Visit

AREA: Final = Area()
_LATEST: Final = 5

CASE: Final = Page(
    "/cases/{case_id}",
    "case/overview.html",
    _("Case"),
    CASEWORKER,
    looks=("case", "consent", "agreement", "evaluation"),
    calls=("referral.case", "consent.case", "agreement.case", "evaluation.case"),
    done={
        "opened": _("The case is open. Now talk with the child and the family."),
        "views": _("The views are on record."),
        "custody": _("It is on record who holds parental responsibility."),
        "drafted": _("The offer is chosen. Nothing is shared yet."),
        "asked": _("The family is asked. Nothing is shared before they have said yes."),
        "recalled": _("The referral is taken back, and nothing more is shared."),
        "closed": _("The case is closed."),
    },
)
LOG: Final = Page(
    "/cases/{case_id}/log",
    "case/log.html",
    _("Log of the case"),
    CASEWORKER,
    looks=("case",),
    calls=("referral.case",),
    parent=CASE,
)
CLOSE: Final = Page(
    "/cases/{case_id}/close",
    "case/close.html",
    _("Close the case"),
    CASEWORKER,
    looks=("case",),
    calls=("referral.case",),
    commands=("close",),
    parent=CASE,
)


class Reason(BaseModel):
    """Why, in a word of the model."""

    reason: str


CLOSING: Final = Form(Reason, reason=Choice(_("Why is the case closed?")))


async def known_of(visit: Visit, case_id: UUID) -> dict[str, Any]:
    """Return a case's file and all that the services know of it, each asked only once there is something."""
    file = await file_of(visit, case_id)
    case = file["case"]
    asked = (
        await visit.parts(consent=visit.get("consent", f"/consent/cases/{case_id}")) if case["views"] else {}
    )
    course = await course_of(visit, case_id, case["referrals"])
    names = await visit.organisation_names(organisations_in(case))
    known = Known(case, asked.get("consent"), course["agreements"], course["evaluations"], names)
    parts = (known.consent, known.agreements, known.evaluations)
    return {**file, "known": known, "some_silent": any(part is SILENT for part in parts)}


@AREA.get(CASE)
async def overview(visit: Visit, case_id: UUID) -> Response:
    """Show where a case stands: what happens next and who does it, the steps, and what happened last."""
    file = await known_of(visit, case_id)
    known = file["known"]
    return visit.render(
        **file,
        next=next_step(known),
        tasks=[
            (visit.translate(task.text), _url(case_id, task.rest), task.status) for task in tasks_of(known)
        ],
        happened=await happened_in(visit, case_id, _LATEST),
    )


@AREA.get(LOG)
async def log(visit: Visit, case_id: UUID) -> Response:
    """Show everything that has happened in a case."""
    file = await file_of(visit, case_id)
    return visit.render(**file, happened=await happened_in(visit, case_id))


@AREA.get(CLOSE)
async def ask_why(visit: Visit, case_id: UUID) -> Response:
    """Ask why a case is closed."""
    file = await file_of(visit, case_id)
    form = visit.form(CLOSING).with_options(reason=file["words"].options("end_reasons"))
    return visit.render(**file, form=form)


@AREA.post(CLOSE, "close")
async def close(visit: Visit, case_id: UUID) -> Response:
    """Close the case."""
    said = visit.bind(CLOSING).value
    await visit.command("referral", f"/referral/cases/{case_id}/close", said.model_dump())
    return visit.redirect(CASE, done="closed", case_id=case_id)


def _url(case_id: UUID, rest: str | None) -> str:
    return "" if rest is None else f"/cases/{case_id}{rest}"
