"""Planning of a case: the views of child and family, and the model's criteria."""

from functools import lru_cache
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel, Field, create_model

from services.portal.casework.case_file import CASEWORKER, file_of
from services.portal.casework.words import Words, words_of
from services.portal.forms import Choice, Choices, Form, Option, Text, Widget, YesNo
from services.portal.pages.case import CASE
from services.portal.pages.page import Area, Page
from services.portal.texts import _
from services.portal.visit import Visit

AREA: Final = Area()

VIEWS: Final = Page(
    "/cases/{case_id}/views",
    "case/views.html",
    _("Views of the child and the family"),
    CASEWORKER,
    looks=("case",),
    calls=("referral.case",),
    commands=("note",),
    parent=CASE,
)
ELIGIBILITY: Final = Page(
    "/cases/{case_id}/eligibility",
    "case/eligibility.html",
    _("Target group and criteria"),
    CASEWORKER,
    looks=("case",),
    calls=("referral.case",),
    commands=("assess",),
    parent=CASE,
    done={"assessed": _("The assessment is on record. Below you see a reason for each answer.")},
)

Told = Annotated[str, Field(max_length=4000)]
Answer = Literal["heard", "declined", "not_heard"]


class Views(BaseModel):
    """What the child and the family said, or why they were not heard."""

    child: Answer
    child_view: Told = ""
    child_proposals: Told = ""
    child_why: Told = ""
    family: Answer
    family_view: Told = ""
    family_proposals: Told = ""
    family_why: Told = ""


_HEARD: Final = (
    ("heard", _("Yes, and this is what was said")),
    ("declined", _("Asked, but would rather not say anything")),
    ("not_heard", _("No, not heard")),
)
_OWN_WORDS: Final = _("Use their own words")
VIEWS_FORM: Final = Form(
    Views,
    child=Choice(_("Has the child been heard?"), options=_HEARD),
    child_view=Text(_("How does the child see it?"), _OWN_WORDS, lines=4),
    child_proposals=Text(_("What does the child propose?"), lines=2),
    child_why=Text(_("Why was the child not heard?"), _("Fill in only where that is so"), lines=2),
    family=Choice(_("Has the family been heard?"), options=_HEARD),
    family_view=Text(_("How does the family see it?"), _OWN_WORDS, lines=4),
    family_proposals=Text(_("What does the family propose?"), lines=2),
    family_why=Text(_("Why was the family not heard?"), _("Fill in only where that is so"), lines=2),
)


@AREA.get(VIEWS)
async def ask_for_views(visit: Visit, case_id: UUID) -> Response:
    """Ask how the child and the family see it; what was noted before is filled in."""
    file = await file_of(visit, case_id)
    return visit.render(**file, form=visit.form(VIEWS_FORM, **_noted(file["case"])))


@AREA.post(VIEWS, "note")
async def note_views(visit: Visit, case_id: UUID) -> Response:
    """Put the views on record."""
    said = visit.bind(VIEWS_FORM).value
    for who in ("child", "family"):
        _require_words(visit, said, who)
    body = {who: _one_view(said, who) for who in ("child", "family")}
    await visit.command("referral", f"/referral/cases/{case_id}/views", body)
    return visit.redirect(CASE, done="views", case_id=case_id)


def _require_words(visit: Visit, said: Views, who: str) -> None:
    answer = getattr(said, who)
    if answer == "heard" and not getattr(said, f"{who}_view"):
        raise visit.refuse(f"{who}_view", _("Write down what was said"))
    if answer == "not_heard" and not getattr(said, f"{who}_why"):
        raise visit.refuse(f"{who}_why", _("Write why not"))


def _one_view(said: Views, who: str) -> dict[str, str]:
    """Return what the chosen answer needs, and nothing that belongs to another answer."""
    answer = str(getattr(said, who))
    names = {"heard": ("view", "proposals"), "not_heard": ("why",)}.get(answer, ())
    return {"answer": answer, **{name: getattr(said, f"{who}_{name}") for name in names}}


def _noted(case: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for who in ("child", "family"):
        words = case["facts"].get(f"{who}_view") or {}
        found |= {f"{who}_{name}": words.get(name) or "" for name in ("view", "proposals", "why")}
        if case["views"]:
            found[who] = case["views"][who]
    return found


@lru_cache(maxsize=64)
def eligibility_form(questions: tuple[Option, ...]) -> Form[BaseModel]:
    """Return the form of the criteria that a professional answers: a yes or a no to each, and a judgement."""
    fields: dict[str, Any] = {f"answer_{code}": (bool, ...) for code, _text in questions}
    model = create_model(
        "Eligibility",
        __base__=BaseModel,
        theme=(str, ...),
        measure=(str, ...),
        conditions=(list[str], []),
        factors=(list[str], []),
        judgement=(Annotated[str, Field(max_length=4000)], ""),
        **fields,
    )
    answers: dict[str, Widget] = {f"answer_{code}": YesNo(text) for code, text in questions}
    return Form(
        model,
        conditions=Choices(
            _("Which basic conditions are lacking?"), _("Choose all that are; none where none is")
        ),
        factors=Choices(_("What may lie behind it?"), _("It decides nothing by itself")),
        **answers,
        theme=Choice(_("What does the need lie in?")),
        measure=Choice(_("Which kind of help fits?")),
        judgement=Text(
            _("How do you judge that volunteers can help the child or the family?"),
            _("Two or three sentences. Write nothing here about a serious concern."),
            lines=4,
        ),
    )


def _questions(words: Words) -> tuple[Option, ...]:
    asked = (one for one in words.model["eligibility"] if one["by"] == "answer")
    return tuple((one["code"], words.said(one["text"])) for one in asked)


@AREA.get(ELIGIBILITY)
async def ask_criteria(visit: Visit, case_id: UUID) -> Response:
    """Ask the model's questions; age and residence are answered by what is on record."""
    file = await file_of(visit, case_id)
    words, case = file["words"], file["case"]
    form = eligibility_form(_questions(words))
    known = {name: case["facts"].get(name) or () for name in ("conditions", "factors")}
    found = case["eligibility"]
    if found:
        known |= {"theme": found["theme"], "measure": found["measure"], **_answered(words, found["reasons"])}
        known |= {"judgement": case["facts"].get("judgement") or ""}
    bound = visit.form(form, **known).with_options(
        theme=words.options("themes"),
        measure=words.options("measures"),
        conditions=words.options("conditions"),
        factors=words.options("factors"),
    )
    group = words.model["target_group"]
    return visit.render(
        **file,
        form=bound,
        questions=[name for name in form.fields if name.startswith("answer_")],
        by_age=group["age_from"] <= (file["age"] or 0) <= group["age_to"],
        lives_here=case["facts"].get("residence") == visit.person.tenant,
        reasons=words.reasons(found["reasons"]) if found else [],
    )


def _answered(words: Words, reasons: list[str]) -> dict[str, bool]:
    """Return what was answered to each question, read from the reasons that stand for the answers."""
    return {
        f"answer_{one['code']}": one["holds"]["code"] in reasons
        for one in words.model["eligibility"]
        if one["by"] == "answer" and {one["holds"]["code"], one["fails"]["code"]} & set(reasons)
    }


@AREA.post(ELIGIBILITY, "assess")
async def assess(visit: Visit, case_id: UUID) -> Response:
    """Hold the criteria against the case."""
    said = visit.bind(eligibility_form(_questions(await words_of(visit)))).value.model_dump()
    answers = {
        name.removeprefix("answer_"): said.pop(name) for name in list(said) if name.startswith("answer_")
    }
    body = {**said, "answers": answers}
    await visit.command("referral", f"/referral/cases/{case_id}/eligibility", body)
    return visit.redirect(ELIGIBILITY, done="assessed", case_id=case_id)
