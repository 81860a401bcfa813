"""Writing an agreement: goals with what is done for each, what each party wants, how long, and the cost."""

from dataclasses import replace
from datetime import date, timedelta
from functools import lru_cache
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel, Field, create_model

from contracts.model_parts import LANGUAGES, Language
from services.portal.casework.case_file import CASEWORKER, file_of
from services.portal.forms import Bound, Choice, Day, Form, Number, Text, Widget, typed_day
from services.portal.pages.case_agreement import AGREEMENT, read_agreement
from services.portal.pages.page import Area, Page
from services.portal.rendering import as_day, translate
from services.portal.texts import _
from services.portal.visit import Visit

AREA: Final = Area()
MOST: Final = 10
_SOON: Final = timedelta(days=7)
_HALF_A_YEAR: Final = timedelta(days=182)

PROPOSAL: Final = Page(
    "/cases/{case_id}/agreement/{agreement_id}/proposal",
    "case/proposal.html",
    _("Write the agreement"),
    CASEWORKER,
    looks=("case", "agreement"),
    calls=("referral.case", "agreement.case"),
    commands=("propose", "more"),
    parent=AGREEMENT,
)

Told = Annotated[str, Field(min_length=1, max_length=4000)]
Days = Annotated[int, Field(ge=1, le=366)]
WANTS: Final = ("municipality", "organisation", "family")
_PARTIES: Final = (
    ("organisation", _("The organisation")),
    ("municipality", _("The municipality")),
    ("family", _("The family")),
)
_PAYERS: Final = (
    ("nobody", _("Nobody, it is free")),
    ("municipality", _("The municipality")),
    ("organisation", _("The organisation")),
    ("family", _("The family")),
    ("shared", _("It is shared")),
)
_COMMON: Final[dict[str, Widget]] = {
    "municipality": Text(_("Why does the municipality want this?"), lines=2),
    "organisation": Text(_("Why does the organisation want this?"), lines=2),
    "family": Text(_("Why does the family want this?"), _("In the family's own words"), lines=2),
    "starts_on": Day(_("First day")),
    "ends_on": Day(_("Last day")),
    "cost": Choice(_("What does it cost?")),
    "payer": Choice(_("Who pays?"), options=_PAYERS),
    "cost_text": Text(_("More about the cost"), _("For example who pays for the bus"), lines=2),
    "update_every_days": Number(_("How many days between two words from the organisation?")),
    "evaluate_every_days": Number(_("How many days between two evaluations?")),
}

_OF_GOAL: Final[dict[str, Widget]] = {
    "goal": Text(
        _("What is goal %(number)s?"), _("Concrete, so that all can see whether it is reached"), lines=2
    ),
    "purpose": Choice(_("Which purpose does goal %(number)s serve?")),
    "done": Text(_("What is done for goal %(number)s?"), _("One thing on each line"), lines=3),
    "who": Choice(_("Who answers for goal %(number)s?"), options=_PARTIES),
}


class Terms(BaseModel):
    """What an agreement says besides its goals."""

    municipality: Told
    organisation: Told
    family: Told
    starts_on: date
    ends_on: date
    cost: str
    payer: str
    cost_text: Annotated[str, Field(max_length=1000)] = ""
    update_every_days: Days
    evaluate_every_days: Days


@lru_cache(maxsize=MOST * len(LANGUAGES))
def proposal_form(goals: int, language: Language) -> Form[Terms]:
    """Return the form for a number of goals; the first is needed, another without words is left out."""
    fields: dict[str, Any] = {}
    widgets: dict[str, Widget] = {}
    for number in range(1, goals + 1):
        told = (Told, ...) if number == 1 else (Annotated[str, Field(max_length=4000)], "")
        chosen = (str, ...) if number == 1 else (str, "")
        fields |= {
            f"goal_{number}": told,
            f"purpose_{number}": chosen,
            f"who_{number}": chosen,
            f"done_{number}": told,
        }
        widgets |= {
            f"{name}_{number}": replace(widget, label=translate(language, widget.label, number=number))
            for name, widget in _OF_GOAL.items()
        }
    return Form(create_model("Proposal", __base__=Terms, **fields), **widgets, **_COMMON)


@AREA.get(PROPOSAL)
async def ask_for_terms(visit: Visit, case_id: UUID, agreement_id: UUID) -> Response:
    """Ask for the terms; those of the version before are filled in."""
    file, found = await file_of(visit, case_id), await read_agreement(visit, case_id, agreement_id)
    words = file["words"]
    before = found["one"]["proposal"] or found["one"]["terms"]
    count = _count(visit, len(before["goals"]) if before else 1)
    purposes = words.options("purposes")
    options = {f"purpose_{number}": purposes for number in range(1, count + 1)}
    known = _as_before(before) if before else _usual(words.model["rhythm"], visit.today)
    form = visit.form(proposal_form(count, visit.language), **known).with_options(
        cost=words.options("prices"), **options
    )
    return visit.render(**file, **found, form=form, count=count, may_add=count < MOST)


@AREA.post(PROPOSAL, "more")
async def one_more_goal(visit: Visit, case_id: UUID, agreement_id: UUID) -> Response:
    """Show the form with room for one goal more, and with what was typed."""
    form = proposal_form(min(MOST, _count(visit, 1) + 1), visit.language)
    typed: Bound[Any] = replace(form.bind(visit.sent.data), errors=[])
    visit.bound = typed
    return await ask_for_terms(visit, case_id, agreement_id)


@AREA.post(PROPOSAL, "propose")
async def propose(visit: Visit, case_id: UUID, agreement_id: UUID) -> Response:
    """Lay the version ready to be signed."""
    count = _count(visit, 1)
    said = visit.bind(proposal_form(count, visit.language)).value.model_dump(mode="json")
    body = {
        "agreement_id": str(agreement_id),
        "goals": [goal for number in range(1, count + 1) if (goal := _goal(visit, said, number))],
        "wants": {party: said[party] for party in WANTS},
        **{name: said[name] for name in ("starts_on", "ends_on", "cost", "payer", "cost_text")},
        "update_every_days": said["update_every_days"],
        "evaluate_every_days": said["evaluate_every_days"],
    }
    await visit.command("agreement", f"/agreement/cases/{case_id}/proposal", body)
    return visit.redirect(AGREEMENT, done="proposed", case_id=case_id)


def _goal(visit: Visit, said: dict[str, Any], number: int) -> dict[str, Any] | None:
    """Return one goal with its actions; None where no words say what is aimed at."""
    if not said[f"goal_{number}"]:
        return None
    for name in ("purpose", "done", "who"):
        if not said[f"{name}_{number}"]:
            raise visit.refuse(f"{name}_{number}", _("Each goal needs an answer here"))
    who = said[f"who_{number}"]
    lines = [line.strip() for line in said[f"done_{number}"].splitlines() if line.strip()]
    return {
        "purpose": said[f"purpose_{number}"],
        "responsible": who,
        "text": said[f"goal_{number}"],
        "actions": [{"text": line, "responsible": who} for line in lines],
    }


def _usual(rhythm: dict[str, int], today: date) -> dict[str, object]:
    """Return what is usual by the model: half a year from next week on."""
    start = today + _SOON
    return {
        "starts_on": typed_day(start),
        "ends_on": typed_day(start + _HALF_A_YEAR),
        "update_every_days": rhythm["update_days"],
        "evaluate_every_days": rhythm["evaluation_days"],
    }


def _as_before(terms: dict[str, Any]) -> dict[str, object]:
    """Return a version as it would be typed."""
    names = ("cost", "payer", "cost_text", "update_every_days", "evaluate_every_days")
    typed: dict[str, object] = {name: terms[name] for name in names}
    typed |= {name: typed_day(as_day(terms[name])) for name in ("starts_on", "ends_on")}
    typed |= {party: terms["wants"].get(party, "") for party in WANTS}
    for number, goal in enumerate(terms["goals"], 1):
        typed |= {
            f"goal_{number}": goal["text"] or "",
            f"purpose_{number}": goal["purpose"],
            f"who_{number}": goal["responsible"],
            f"done_{number}": "\n".join(action["text"] for action in goal["actions"]),
        }
    return typed


def _count(visit: Visit, known: int) -> int:
    """Return for how many goals the form has room: as it was sent, or as the version before has."""
    if visit.bound is not None:
        named = sum(name.startswith("goal_") for name in visit.bound.form.fields)
        return named or known
    sent = visit.sent.number("count") if visit.submitted else None
    return max(1, min(MOST, sent or known))
