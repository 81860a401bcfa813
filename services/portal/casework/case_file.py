"""The file of one case: what all its pages show around their own part."""

from collections.abc import Awaitable, Mapping
from datetime import date
from typing import Any, Final
from uuid import UUID

from services.portal.casework import stages
from services.portal.casework.actions import allows
from services.portal.casework.words import words_of
from services.portal.forms import Option
from services.portal.rendering import as_day
from services.portal.texts import _
from services.portal.visit import Visit

CASEWORKER: Final = ("caseworker",)
_TABS: Final[tuple[Option, ...]] = (
    ("", _("Overview")),
    ("/consent", _("Consent")),
    ("/referral", _("Referral")),
    ("/agreement", _("Agreement")),
    ("/evaluation", _("Evaluation")),
    ("/log", _("Log")),
)


async def open_file(visit: Visit, case_id: UUID, **more: Awaitable[Any]) -> dict[str, Any]:
    """Return what all pages of a case show, and what other services say of it.

    `case` is `SILENT` where the referral service is; the page then shows the rest.
    """
    words = await words_of(visit)
    parts = await visit.parts(case=visit.get("referral", f"/referral/cases/{case_id}"), **more)
    return {
        **parts,
        "allows": allows,
        "case_id": case_id,
        "words": words,
        **_about(visit, parts["case"]),
        "tabs": _tabs(visit, case_id),
    }


async def read_case(visit: Visit, case_id: UUID) -> Mapping[str, Any]:
    """Return a case where a page can do nothing without it; raises `ServiceSilent`."""
    case: Mapping[str, Any] = await visit.get("referral", f"/referral/cases/{case_id}")
    return case


async def file_of(visit: Visit, case_id: UUID) -> dict[str, Any]:
    """Return the file for a form that needs the case; raises `ServiceSilent` where it cannot be read."""
    words, case = await words_of(visit), await read_case(visit, case_id)
    return {
        "allows": allows,
        "case": case,
        "case_id": case_id,
        "words": words,
        **_about(visit, case),
        "tabs": _tabs(visit, case_id),
    }


def _about(visit: Visit, case: Any) -> dict[str, Any]:
    if not case:
        return {"name": "", "stage": None, "age": None}
    last = stages.last_referral(case)
    status = last["status"] if last else None
    return {
        "name": name_of(case["facts"]),
        "stage": stages.stage_of(stages.status_of(case), status),
        "age": age_of(case["facts"].get("born"), visit.today),
    }


def _tabs(visit: Visit, case_id: UUID) -> list[tuple[str, str, bool]]:
    here = visit.request.url.path
    found = [(f"/cases/{case_id}{rest}", visit.translate(text)) for rest, text in _TABS]
    return [(text, url, url == here) for url, text in found]


def name_of(facts: Mapping[str, Any]) -> str:
    """Return a child's whole name; empty where it was erased."""
    return " ".join(part for part in (facts.get("first_name"), facts.get("family_name")) if part)


def age_of(born: str | date | None, today: date) -> int | None:
    """Return full years on a day; None where the day of birth was erased."""
    if born is None:
        return None
    day = as_day(born)
    return today.year - day.year - ((today.month, today.day) < (day.month, day.day))


def organisations_in(case: Mapping[str, Any]) -> list[str]:
    """Return the organisations of a case's referrals, by id."""
    return [str(one["organisation_id"]) for one in case["referrals"]] if case else []
