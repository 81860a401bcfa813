"""Concluding an evaluation, and measuring how a child fares."""

from functools import lru_cache
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel, Field, create_model

from services.kernel.errors import NotFound
from services.portal.casework.case_file import CASEWORKER, file_of
from services.portal.casework.words import Words, same, words_of
from services.portal.forms import Choice, Form, Option, Text, Widget
from services.portal.pages.case_evaluation import EVALUATION, NEEDED, VOICES, goals_of, read_evaluation
from services.portal.pages.page import Area, Page
from services.portal.texts import _
from services.portal.visit import Visit

AREA: Final = Area()

CONCLUDE: Final = Page(
    "/cases/{case_id}/evaluation/{evaluation_id}/conclude",
    "case/conclude.html",
    _("Decide how to go on"),
    CASEWORKER,
    looks=("case", "agreement", "evaluation"),
    calls=("referral.case", "agreement.case", "evaluation.case"),
    commands=("conclude",),
    parent=EVALUATION,
)
MEASURE: Final = Page(
    "/cases/{case_id}/measurement/{agreement_id}/{moment}",
    "case/measure.html",
    _("Measure how the child fares"),
    CASEWORKER,
    looks=("case", "evaluation"),
    calls=("referral.case", "evaluation.case"),
    commands=("measure",),
    parent=EVALUATION,
)
MOMENTS: Final = ("start", "end", "after")

_ATTAINED: Final = (
    ("reached", _("Reached")),
    ("partly", _("Partly reached")),
    ("not_reached", _("Not reached")),
)
_REASONS: Final[tuple[Option, ...]] = (
    ("it_works", _("Go on: it works")),
    ("needs_time", _("Go on: it needs more time")),
    ("works_in_part", _("Adjust: it works in part")),
    ("needs_changed", _("Adjust: the needs have changed")),
    ("goals_changed", _("Adjust: the goals have changed")),
)
_DECISION_OF: Final = {
    "it_works": "continue",
    "needs_time": "continue",
    "works_in_part": "adjust",
    "needs_changed": "adjust",
    "goals_changed": "adjust",
}
_COMPLETES: Final = "goals_reached"
"""The model's reason by which a cooperation is complete; it stops for any other."""


class Conclusion(BaseModel):
    """How it goes on, and what all parties read about it."""

    reason: str
    note: Annotated[str, Field(max_length=4000)] = ""


@lru_cache(maxsize=256)
def conclusion_form(goals: tuple[Option, ...]) -> Form[Conclusion]:
    """Return the form for the goals of an agreement, by their ids and words."""
    attained = Literal["reached", "partly", "not_reached"]
    fields: dict[str, Any] = {f"goal_{goal_id}": (attained, ...) for goal_id, _words in goals}
    widgets: dict[str, Widget] = {
        f"goal_{goal_id}": Choice(words, options=_ATTAINED) for goal_id, words in goals
    }
    return Form(
        create_model("Concluded", __base__=Conclusion, **fields),
        **widgets,
        reason=Choice(_("How do you go on?")),
        note=Text(_("What was decided, and why?"), _("The family and the organisation read this"), lines=4),
    )


def _goals(collaboration: dict[str, Any], words: dict[str, str]) -> tuple[Option, ...]:
    ids = [str(goal_id) for goal_id in collaboration["goal_ids"]]
    return tuple((goal_id, words.get(goal_id) or goal_id) for goal_id in ids)


@AREA.get(CONCLUDE)
async def ask_how_on(visit: Visit, case_id: UUID, evaluation_id: UUID) -> Response:
    """Ask how far each goal was reached and how to go on, once all have been heard."""
    file, found = await file_of(visit, case_id), await read_evaluation(visit, case_id, evaluation_id)
    agreements = await visit.get("agreement", f"/agreement/cases/{case_id}")
    goals = _goals(found["collaboration"], goals_of(agreements))
    going_on = [(code, visit.translate(text)) for code, text in _REASONS]
    ending = [(code, visit.translate(_("End: %(reason)s"), reason=text))
              for code, text in file["words"].options("end_reasons")]  # fmt: skip
    heard = {one["voice"] for one in found["one"]["voices"]}
    return visit.render(
        **file,
        **found,
        goals=goals,
        form=visit.form(conclusion_form(goals)).with_options(reason=[*going_on, *ending]),
        missing=[visit.translate(text) for voice, text in VOICES if voice in NEEDED and voice not in heard],
    )


@AREA.post(CONCLUDE, "conclude")
async def conclude(visit: Visit, case_id: UUID, evaluation_id: UUID) -> Response:
    """Conclude the evaluation."""
    found = await read_evaluation(visit, case_id, evaluation_id)
    agreements = await visit.get("agreement", f"/agreement/cases/{case_id}")
    goals = _goals(found["collaboration"], goals_of(agreements))
    said = visit.bind(conclusion_form(goals)).value.model_dump()
    reason = said["reason"]
    body = {
        "decision": _DECISION_OF.get(reason) or ("complete" if reason == _COMPLETES else "stop"),
        "reason": reason,
        "attained": [{"goal_id": goal_id, "attainment": said[f"goal_{goal_id}"]} for goal_id, _text in goals],
        "note": said["note"],
    }
    at = f"/evaluation/cases/{case_id}/evaluations/{evaluation_id}/conclude"
    await visit.command("evaluation", at, body)
    return visit.redirect(EVALUATION, done="concluded", case_id=case_id)


@lru_cache(maxsize=64)
def measurement_form(dimensions: tuple[tuple[str, str, int, int], ...]) -> Form[BaseModel]:
    """Return the form of the model's dimensions, each from its lowest to its highest."""
    fields: dict[str, Any] = {code: (int | None, None) for code, _text, _low, _high in dimensions}
    widgets: dict[str, Widget] = {
        code: Choice(text, options=tuple((str(score), str(score)) for score in range(low, high + 1)))
        for code, text, low, high in dimensions
    }
    return Form(create_model("Measurement", __base__=BaseModel, **fields), **widgets)


def _dimensions(words: Words) -> tuple[tuple[str, str, int, int], ...]:
    found = words.model["dimensions"]
    return tuple((one["code"], words.said(one["text"]), one["lowest"], one["highest"]) for one in found)


@AREA.get(MEASURE)
async def ask_scores(visit: Visit, case_id: UUID, agreement_id: UUID, moment: str) -> Response:
    """Ask for the child's scores; what was not answered is left open."""
    if moment not in MOMENTS:
        raise NotFound
    file = await file_of(visit, case_id)
    found = await visit.get("evaluation", f"/evaluation/cases/{case_id}")
    course = next((one for one in found["collaborations"] if same(one["agreement_id"], agreement_id)), None)
    if course is None:
        raise NotFound
    taken = next((one for one in course["measurements"] if one["moment"] == moment), None)
    known = {code: round(score) for code, score in ((taken or {}).get("scores") or {}).items()}
    form = measurement_form(_dimensions(file["words"]))
    return visit.render(
        **file,
        moment=moment,
        form=visit.form(form, **known),
        names=list(form.fields),
        evaluation_version=found["version"],
    )


@AREA.post(MEASURE, "measure")
async def measure(visit: Visit, case_id: UUID, agreement_id: UUID, moment: str) -> Response:
    """Put the scores on record."""
    form = measurement_form(_dimensions(await words_of(visit)))
    said = visit.bind(form).value.model_dump()
    scores = {code: float(score) for code, score in said.items() if score is not None}
    if not scores:
        raise visit.refuse(next(iter(form.fields)), _("Choose at least one score"))
    body = {"agreement_id": str(agreement_id), "moment": moment, "scores": scores}
    await visit.command("evaluation", f"/evaluation/cases/{case_id}/measurements", body)
    return visit.redirect(EVALUATION, done="measured", case_id=case_id)
