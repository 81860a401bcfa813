"""Evaluations of a case: whose voice was heard, what was decided, and how the child fares in figures."""

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel, Field

from services.kernel.errors import NotFound
from services.portal.casework.case_file import CASEWORKER, file_of
from services.portal.casework.stages import OF_EVALUATION
from services.portal.casework.words import same
from services.portal.course import course_of
from services.portal.forms import Choice, Form, Text
from services.portal.pages.case import CASE
from services.portal.pages.page import Area, Page
from services.portal.texts import _
from services.portal.visit import Visit

AREA: Final = Area()

EVALUATION: Final = Page(
    "/cases/{case_id}/evaluation",
    "case/evaluation.html",
    _("Evaluation"),
    CASEWORKER,
    looks=("case", "agreement", "evaluation"),
    calls=("referral.case", "agreement.case", "evaluation.case"),
    parent=CASE,
    done={
        "heard": _("The voice is on record."),
        "concluded": _("The evaluation is concluded. All parties can read what you decided."),
        "measured": _("The measurement is on record."),
    },
)
VOICE: Final = Page(
    "/cases/{case_id}/evaluation/{evaluation_id}/voice",
    "case/voice.html",
    _("Write down a voice"),
    CASEWORKER,
    looks=("case", "evaluation"),
    calls=("referral.case", "evaluation.case"),
    commands=("note",),
    parent=EVALUATION,
)

VOICES: Final = (
    ("child", _("The child or the young person")),
    ("family", _("The family")),
    ("organisation", _("The organisation")),
    ("caseworker", _("The caseworker")),
)
NEEDED: Final = ("child", "family", "organisation")
"""Whose voice is heard, or declined, before anything is decided."""


class Said(BaseModel):
    """One voice, as a caseworker writes it down."""

    voice: Literal["child", "family", "organisation", "caseworker"]
    answer: Literal["heard", "declined"]
    text: Annotated[str, Field(max_length=4000)] = ""


VOICE_FORM: Final = Form(
    Said,
    voice=Choice(_("Whose voice is it?"), options=VOICES),
    answer=Choice(
        _("Did they say something?"),
        options=(
            ("heard", _("Yes, and this is what was said")),
            ("declined", _("No, they would rather not")),
        ),
    ),
    text=Text(_("What was said about the goals, and about how it goes?"), _("Use their own words"), lines=5),
)


@AREA.get(EVALUATION)
async def evaluation(visit: Visit, case_id: UUID) -> Response:
    """Show the evaluations and measurements of a case, the latest cooperation first."""
    file = await file_of(visit, case_id)
    course = await course_of(visit, case_id, file["case"]["referrals"])
    found = course["evaluations"]
    ids = [one["organisation_id"] for one in found["collaborations"]] if found else []
    return visit.render(
        **file,
        evaluations=found,
        goals=goals_of(course["agreements"]),
        names=await visit.organisation_names(ids),
        stages=OF_EVALUATION,
        voices=dict(VOICES),
        needed=NEEDED,
    )


@AREA.get(VOICE)
async def ask_for_voice(visit: Visit, case_id: UUID, evaluation_id: UUID) -> Response:
    """Ask what somebody said who does not write it here themselves."""
    file, found = await file_of(visit, case_id), await read_evaluation(visit, case_id, evaluation_id)
    heard = {one["voice"] for one in found["one"]["voices"]}
    first = next((voice for voice in NEEDED if voice not in heard), "caseworker")
    return visit.render(**file, **found, form=visit.form(VOICE_FORM, voice=first))


@AREA.post(VOICE, "note")
async def note_voice(visit: Visit, case_id: UUID, evaluation_id: UUID) -> Response:
    """Put a voice on record."""
    said = visit.bind(VOICE_FORM).value
    if said.answer == "heard" and not said.text:
        raise visit.refuse("text", _("Write down what was said"))
    body = {**said.model_dump(), "text": said.text if said.answer == "heard" else ""}
    at = f"/evaluation/cases/{case_id}/evaluations/{evaluation_id}/voices"
    await visit.command("evaluation", at, body, version="")
    return visit.redirect(EVALUATION, done="heard", case_id=case_id)


async def read_evaluation(visit: Visit, case_id: UUID, evaluation_id: UUID) -> dict[str, Any]:
    """Return one evaluation, what it belongs to, and the version that was seen."""
    found = await visit.get("evaluation", f"/evaluation/cases/{case_id}")
    for course in found["collaborations"]:
        for one in course["evaluations"]:
            if same(one["evaluation_id"], evaluation_id):
                return {"one": one, "collaboration": course, "evaluation_version": found["version"]}
    raise NotFound


def goals_of(agreements: Any) -> dict[str, str]:
    """Return the words of the goals in force, by their id; nothing where the service is silent."""
    terms = [one["terms"] for one in agreements["agreements"] if one["terms"]] if agreements else []
    return {str(goal["goal_id"]): goal["text"] or "" for one in terms for goal in one["goals"]}
