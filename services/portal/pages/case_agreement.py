"""The cooperation agreement of a case: the start-up meeting, signing, how it goes, and the end."""

from datetime import date
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel, Field

from services.kernel.errors import NotFound
from services.portal.casework.case_file import CASEWORKER, file_of
from services.portal.casework.stages import OF_AGREEMENT
from services.portal.casework.words import same
from services.portal.course import course_of
from services.portal.forms import Choice, Choices, Day, Form, typed_day
from services.portal.pages.case import CASE
from services.portal.pages.page import Area, Page
from services.portal.texts import _
from services.portal.visit import Visit

AREA: Final = Area()

AGREEMENT: Final = Page(
    "/cases/{case_id}/agreement",
    "case/agreement.html",
    _("Agreement"),
    CASEWORKER,
    looks=("case", "agreement"),
    calls=("referral.case", "agreement.case"),
    commands=("sign",),
    parent=CASE,
    done={
        "met": _("The meeting is on record. Now write the agreement."),
        "proposed": _("The agreement is ready to be signed by all. Read it once more, and sign it yourself."),
        "signed": _("You have signed for the municipality."),
        "ended": _("The cooperation is ended. The family and the organisation are told."),
    },
)
MEETING: Final = Page(
    "/cases/{case_id}/agreement/{agreement_id}/meeting",
    "case/meeting.html",
    _("Note the start-up meeting"),
    CASEWORKER,
    looks=("case", "agreement"),
    calls=("referral.case", "agreement.case"),
    commands=("note",),
    parent=AGREEMENT,
)
END: Final = Page(
    "/cases/{case_id}/agreement/{agreement_id}/end",
    "case/end.html",
    _("End the cooperation"),
    CASEWORKER,
    looks=("case", "agreement"),
    calls=("referral.case", "agreement.case"),
    commands=("end",),
    parent=AGREEMENT,
)


class Meeting(BaseModel):
    """When the meeting was held, and who came."""

    held_on: date
    attended: Annotated[list[str], Field(min_length=1)]


class Reason(BaseModel):
    """Why, in a word of the model."""

    reason: str


MEETING_FORM: Final = Form(
    Meeting,
    held_on=Day(_("When was the meeting held?"), _("For example 4.1.2027")),
    attended=Choices(
        _("Who came?"),
        _("The family, the caseworker and the organisation must be there"),
        options=(
            ("child", _("The child or the young person")),
            ("family", _("The family")),
            ("caseworker", _("The caseworker")),
            ("organisation", _("The organisation")),
            ("interpreter", _("An interpreter")),
            ("other", _("Others")),
        ),
    ),
)
ENDING: Final = Form(Reason, reason=Choice(_("Why does the cooperation end?")))


@AREA.get(AGREEMENT)
async def agreement(visit: Visit, case_id: UUID) -> Response:
    """Show the agreements of a case, the latest first: what is agreed, who has signed, how it goes."""
    file = await file_of(visit, case_id)
    course = await course_of(visit, case_id, file["case"]["referrals"])
    agreements = course["agreements"]
    ids = [one["organisation_id"] for one in agreements["agreements"]] if agreements else []
    return visit.render(
        **file,
        agreements=agreements,
        model=file["words"].model,
        names=await visit.organisation_names(ids),
        stages=OF_AGREEMENT,
    )


@AREA.post(AGREEMENT, "sign")
async def sign(visit: Visit, case_id: UUID) -> Response:
    """Sign one version for the municipality."""
    body = {
        "agreement_id": visit.sent.text("agreement_id"),
        "version": visit.sent.number("terms_version"),
        "party": "municipality",
    }
    await visit.command("agreement", f"/agreement/cases/{case_id}/sign", body)
    return visit.redirect(AGREEMENT, done="signed", case_id=case_id)


@AREA.get(MEETING)
async def ask_about_meeting(visit: Visit, case_id: UUID, agreement_id: UUID) -> Response:
    """Ask when the start-up meeting was held, and who came."""
    file, found = await file_of(visit, case_id), await read_agreement(visit, case_id, agreement_id)
    expected = ("child", "family", "caseworker", "organisation")
    form = visit.form(MEETING_FORM, held_on=typed_day(visit.today), attended=expected)
    return visit.render(**file, **found, form=form)


@AREA.post(MEETING, "note")
async def note_meeting(visit: Visit, case_id: UUID, agreement_id: UUID) -> Response:
    """Put the meeting on record."""
    said = visit.bind(MEETING_FORM).value
    body = {"agreement_id": str(agreement_id), **said.model_dump(mode="json")}
    await visit.command("agreement", f"/agreement/cases/{case_id}/meeting", body)
    return visit.redirect(AGREEMENT, done="met", case_id=case_id)


@AREA.get(END)
async def ask_why_end(visit: Visit, case_id: UUID, agreement_id: UUID) -> Response:
    """Ask why a cooperation ends, and say what follows."""
    file, found = await file_of(visit, case_id), await read_agreement(visit, case_id, agreement_id)
    form = visit.form(ENDING).with_options(reason=file["words"].options("end_reasons"))
    return visit.render(**file, **found, form=form)


@AREA.post(END, "end")
async def end(visit: Visit, case_id: UUID, agreement_id: UUID) -> Response:
    """End the cooperation."""
    said = visit.bind(ENDING).value
    body = {"agreement_id": str(agreement_id), **said.model_dump()}
    await visit.command("agreement", f"/agreement/cases/{case_id}/end", body, version="")
    return visit.redirect(AGREEMENT, done="ended", case_id=case_id)


async def read_agreement(visit: Visit, case_id: UUID, agreement_id: UUID) -> dict[str, Any]:
    """Return one agreement of a case, its organisation's name, and the version that was seen."""
    found = await visit.get("agreement", f"/agreement/cases/{case_id}")
    for one in found["agreements"]:
        if same(one["agreement_id"], agreement_id):
            name = await visit.organisation_name(one["organisation_id"])
            return {"one": one, "organisation": name, "agreement_version": found["version"]}
    raise NotFound
