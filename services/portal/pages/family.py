"""What a family follows: the child's cooperation, what happens next, the agreement, and who has looked."""

import asyncio
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel, Field

from services.kernel.errors import NotFound
from services.portal.course import course_of
from services.portal.forms import Form, Text
from services.portal.pages.page import FAMILY, Area, Page
from services.portal.texts import _
from services.portal.visit import Visit

AREA: Final = Area()

CHILDREN: Final = Page(
    "/children",
    "family/children.html",
    _("What is going on"),
    FAMILY,
    looks=("case",),
    calls=("consent.own_cases", "referral.case"),
    menu=_("What is going on"),
)
CHILD: Final = Page(
    "/children/{case_id}",
    "family/child.html",
    _("What is going on"),
    FAMILY,
    looks=("case", "agreement", "evaluation"),
    calls=("referral.case", "agreement.case", "evaluation.case"),
    commands=("sign",),
    parent=CHILDREN,
    done={
        "signed": _("Thank you, you have signed."),
        "heard": _("Thank you for telling. It is part of the evaluation."),
        "declined": _("That is quite all right. Nobody asks you why."),
    },
)
LOOKS: Final = Page(
    "/children/{case_id}/looks",
    "family/looks.html",
    _("Who has looked"),
    FAMILY,
    looks=("looks",),
    calls=("audit.looks",),
    parent=CHILDREN,
)
VOICE: Final = Page(
    "/children/{case_id}/voice/{evaluation_id}",
    "family/voice.html",
    _("How is it going?"),
    FAMILY,
    looks=("evaluation",),
    calls=("evaluation.case",),
    commands=("say", "decline"),
    parent=CHILDREN,
)
FACES: Final = (
    ("very_good", _("Very good")),
    ("good", _("Good")),
    ("so_so", _("So-so")),
    ("bad", _("Bad")),
    ("very_bad", _("Very bad")),
)
_VOICES: Final = {"guardian": "family", "young_person": "child"}
_PARTIES: Final = {"guardian": "family", "young_person": "young_person"}


class Voice(BaseModel):
    """How it goes, by a face and in words; either is enough."""

    face: str = ""
    text: Annotated[str, Field(max_length=3000)] = ""


VOICE_FORM: Final = Form(
    Voice,
    face=Text(_("Which face fits best?")),
    text=Text(_("Do you want to say more?"), _("You need not. Write as you would say it."), lines=5),
)


@AREA.get(CHILDREN)
async def children(visit: Visit) -> Response:
    """List the cooperations about the person's own child, or about the young person."""
    own = await visit.items("consent", "/consent/mine/cases")
    cases = await asyncio.gather(*(visit.get("referral", f"/referral/cases/{one['case_id']}") for one in own))
    return visit.render(found=[(case, _stage(case)) for case in cases])


def _stage(case: dict[str, Any]) -> str:
    """Return how far the latest referral has come, or that there is none."""
    return case["referrals"][-1]["status"] if case["referrals"] else ""


@AREA.get(CHILD)
async def child(visit: Visit, case_id: UUID) -> Response:
    """Show one cooperation as the family sees it: what happens next, what is agreed, how it goes."""
    case = await visit.get("referral", f"/referral/cases/{case_id}")
    parts = await course_of(visit, case_id, case["referrals"])
    names = await visit.organisation_names(one["organisation_id"] for one in case["referrals"])
    return visit.render(
        **parts,
        case=case,
        case_id=case_id,
        names=names,
        model=await visit.model(),
        party=_PARTIES[visit.person.role],
        voice=_VOICES[visit.person.role],
    )


@AREA.post(CHILD, "sign")
async def sign(visit: Visit, case_id: UUID) -> Response:
    """Sign one version of the agreement for the family, or as the young person."""
    body = {
        "agreement_id": visit.sent.text("agreement_id"),
        "version": visit.sent.number("terms_version"),
        "party": _PARTIES[visit.person.role],
    }
    await visit.command("agreement", f"/agreement/cases/{case_id}/sign", body)
    return visit.redirect(CHILD, done="signed", case_id=case_id)


@AREA.get(LOOKS)
async def looks(visit: Visit, case_id: UUID) -> Response:
    """Show who has looked at the case, by day, role and purpose."""
    return visit.render(found=await visit.items("audit", f"/audit/cases/{case_id}/looks"), case_id=case_id)


@AREA.get(VOICE)
async def ask_for_voice(visit: Visit, case_id: UUID, evaluation_id: UUID) -> Response:
    """Ask one question, with faces and words; it need not be answered."""
    found = await visit.get("evaluation", f"/evaluation/cases/{case_id}")
    one = _evaluation(found, evaluation_id)
    return visit.render(one=one, case_id=case_id, form=visit.form(VOICE_FORM), faces=_faces(visit))


@AREA.post(VOICE, "say")
async def say(visit: Visit, case_id: UUID, evaluation_id: UUID) -> Response:
    """Put the voice on record: the words of the face, and what was written."""
    said = visit.bind(VOICE_FORM).value
    faces = dict(_faces(visit))
    text = "\n".join(part for part in (faces.get(said.face, ""), said.text) if part)
    if not text:
        raise visit.refuse(
            "face", _("Choose a face, or write something. You can also say that you would rather not.")
        )
    await _speak(visit, case_id, evaluation_id, "heard", text)
    return visit.redirect(CHILD, done="heard", case_id=case_id)


@AREA.post(VOICE, "decline")
async def decline(visit: Visit, case_id: UUID, evaluation_id: UUID) -> Response:
    """Put on record that the person would rather not answer."""
    await _speak(visit, case_id, evaluation_id, "declined", "")
    return visit.redirect(CHILD, done="declined", case_id=case_id)


async def _speak(visit: Visit, case_id: UUID, evaluation_id: UUID, answer: str, text: str) -> None:
    body = {"voice": _VOICES[visit.person.role], "answer": answer, "text": text}
    await visit.command("evaluation", f"/evaluation/cases/{case_id}/evaluations/{evaluation_id}/voices", body)


def _faces(visit: Visit) -> list[tuple[str, str]]:
    return [(value, visit.translate(text)) for value, text in FACES]


def _evaluation(found: dict[str, Any], evaluation_id: UUID) -> dict[str, Any]:
    for course in found["collaborations"]:
        for one in course["evaluations"]:
            if one["evaluation_id"] == str(evaluation_id):
                return dict(one)
    raise NotFound
