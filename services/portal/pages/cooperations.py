"""Cooperations of an organisation: the agreement, how it goes, and the organisation's voice."""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel, Field

from services.kernel.errors import NotFound
from services.portal.course import course_of
from services.portal.forms import Choice, Form, Text
from services.portal.pages.page import Area, Page
from services.portal.service_client import SILENT
from services.portal.texts import _
from services.portal.visit import Visit

AREA: Final = Area()
COORDINATOR: Final = ("coordinator",)

COOPERATIONS: Final = Page(
    "/cooperations",
    "coordinator/cooperations.html",
    _("Cooperations"),
    COORDINATOR,
    calls=("referral.inbox", "agreement.mine", "evaluation.mine"),
    menu=_("Cooperations"),
)
COOPERATION: Final = Page(
    "/cooperations/{case_id}",
    "coordinator/cooperation.html",
    _("Cooperation"),
    COORDINATOR,
    looks=("referral", "agreement", "evaluation"),
    calls=("referral.case", "agreement.case", "evaluation.case"),
    commands=("sign",),
    parent=COOPERATIONS,
    done={
        "signed": _("You have signed for the organisation."),
        "reported": _("Thank you. The municipality can now read how it goes."),
        "heard": _("Thank you. What you said is part of the evaluation."),
        "ended": _("The cooperation is ended. The municipality and the family are told."),
    },
)
PROGRESS: Final = Page(
    "/cooperations/{case_id}/{agreement_id}/progress",
    "coordinator/progress.html",
    _("How does it go?"),
    COORDINATOR,
    calls=("agreement.case",),
    looks=("agreement",),
    commands=("report",),
    parent=COOPERATIONS,
)
VOICE: Final = Page(
    "/cooperations/{case_id}/voice/{evaluation_id}",
    "coordinator/voice.html",
    _("The organisation's part of the evaluation"),
    COORDINATOR,
    calls=("evaluation.case",),
    looks=("evaluation",),
    commands=("say",),
    parent=COOPERATIONS,
)
Words = Annotated[str, Field(min_length=1, max_length=4000)]


class Progress(BaseModel):
    """How it goes, in one of three and in words."""

    trend: str
    text: Words


class Voice(BaseModel):
    """What the organisation says to the goals."""

    text: Words


PROGRESS_FORM: Final = Form(
    Progress,
    trend=Choice(
        _("How does it go just now?"),
        options=(
            ("forward", _("It goes better")),
            ("steady", _("About the same")),
            ("back", _("It goes worse")),
        ),
    ),
    text=Text(
        _("What have you done, and what do you see?"),
        _("Two or three sentences are enough. The family and the municipality read them."),
        lines=5,
        sentences={"missing": _("Write a sentence or two")},
    ),
)
VOICE_FORM: Final = Form(
    Voice,
    text=Text(
        _("How far have you come with the goals, and what would you change?"),
        lines=6,
        sentences={"missing": _("Write a sentence or two")},
    ),
)


@AREA.get(COOPERATIONS)
async def cooperations(visit: Visit) -> Response:
    """List the cooperations under way, with what waits for the organisation in each."""
    parts = await visit.parts(
        going=visit.items("referral", "/referral/inbox", limit=100),
        agreements=visit.items("agreement", "/agreement/mine"),
        evaluations=visit.items("evaluation", "/evaluation/mine"),
    )
    going = parts["going"]
    if going is not SILENT:
        going = [one for one in going if one["status"] in {"accepted", "under_way"}]
        parts["offers"] = {one["offer_id"]: await visit.offer(one["offer_id"]) for one in going}
    work: dict[str, list[Any]] = {}
    for one in [*(parts["agreements"] or ()), *(parts["evaluations"] or ())]:
        work.setdefault(one["case_id"], []).append(one)
    return visit.render(**{"offers": {}, **parts, "going": going}, work=work)


@AREA.get(COOPERATION)
async def cooperation(visit: Visit, case_id: UUID) -> Response:
    """Show one cooperation: what is agreed, how it goes, and what waits."""
    case = await visit.get("referral", f"/referral/cases/{case_id}")
    course = await course_of(visit, case_id, case["referrals"])
    return visit.render(**course, case=case, case_id=case_id, model=await visit.model())


@AREA.post(COOPERATION, "sign")
async def sign(visit: Visit, case_id: UUID) -> Response:
    """Sign one version for the organisation."""
    body = {
        "agreement_id": visit.sent.text("agreement_id"),
        "version": visit.sent.number("terms_version"),
        "party": "organisation",
    }
    await visit.command("agreement", f"/agreement/cases/{case_id}/sign", body)
    return visit.redirect(COOPERATION, done="signed", case_id=case_id)


@AREA.get(PROGRESS)
async def ask_how_it_goes(visit: Visit, case_id: UUID, agreement_id: UUID) -> Response:
    """Ask for the regular word on how it goes."""
    found = await visit.get("agreement", f"/agreement/cases/{case_id}")
    one = _one(found["agreements"], "agreement_id", agreement_id)
    return visit.render(one=one, version=found["version"], form=visit.form(PROGRESS_FORM), case_id=case_id)


@AREA.post(PROGRESS, "report")
async def report(visit: Visit, case_id: UUID, agreement_id: UUID) -> Response:
    """Report how it goes."""
    said = visit.bind(PROGRESS_FORM).value
    body = {"agreement_id": str(agreement_id), **said.model_dump()}
    await visit.command("agreement", f"/agreement/cases/{case_id}/progress", body)
    return visit.redirect(COOPERATION, done="reported", case_id=case_id)


@AREA.get(VOICE)
async def ask_for_voice(visit: Visit, case_id: UUID, evaluation_id: UUID) -> Response:
    """Ask for the organisation's part of an evaluation."""
    found = await visit.get("evaluation", f"/evaluation/cases/{case_id}")
    all_of_case = [one for course in found["collaborations"] for one in course["evaluations"]]
    one = _one(all_of_case, "evaluation_id", evaluation_id)
    return visit.render(one=one, form=visit.form(VOICE_FORM), case_id=case_id)


@AREA.post(VOICE, "say")
async def say(visit: Visit, case_id: UUID, evaluation_id: UUID) -> Response:
    """Put the organisation's voice on record."""
    said = visit.bind(VOICE_FORM).value
    body = {"voice": "organisation", "answer": "heard", "text": said.text}
    await visit.command("evaluation", f"/evaluation/cases/{case_id}/evaluations/{evaluation_id}/voices", body)
    return visit.redirect(COOPERATION, done="heard", case_id=case_id)


def _one(found: list[dict[str, Any]], name: str, wanted: UUID) -> dict[str, Any]:
    for one in found:
        if one[name] == str(wanted):
            return one
    raise NotFound
