"""The timeline of a case: what has happened, as far as the services' answers say when."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Final

from msgspec import Struct

from services.portal.casework.known import Known
from services.portal.casework.words import person_names
from services.portal.rendering import as_day
from services.portal.texts import _


class Happened(Struct, frozen=True):
    """One thing that happened: the day, a marked sentence, and whom or what it was about."""

    on: date
    text: str
    about: str = ""


def timeline_of(known: Known) -> list[Happened]:
    """Return what has happened in a case, the latest first."""
    found = [*_of_case(known.case), *_of_consents(known), *_of_agreements(known), *_of_evaluations(known)]
    return sorted(found, key=lambda one: one.on)[::-1]


def _of_case(case: Any) -> Iterator[Happened]:
    if not case:
        return
    yield Happened(as_day(case["opened_at"]), _("The case was opened"))
    if case["views"]:
        yield Happened(
            as_day(case["views"]["noted_at"]), _("The views of the child and the family were noted")
        )
    if case["eligibility"]:
        fits = case["eligibility"]["eligible"]
        text = _("Assessed: within the target group") if fits else _("Assessed: outside the target group")
        yield Happened(as_day(case["eligibility"]["assessed_at"]), text)


_ANSWERS: Final[Mapping[str, str]] = {
    "minuted": _("A yes was put on record and waits for a colleague"),
    "given": _("Said yes to sharing"),
    "withdrawn": _("Had said yes, and took it back later"),
    "expired": _("Had said yes, and it has run out"),
}


def _of_consents(known: Known) -> Iterator[Happened]:
    if not known.consent:
        return
    names = person_names(known.consent)
    if custody := known.consent["custody"]:
        yield Happened(as_day(custody["recorded_at"]), _("Parental responsibility was put on record"))
    for one in known.consent["consents"]:
        name = names.get(str(one["person_id"]), "")
        yield Happened(as_day(one["requested_at"]), _("Was asked for consent"), name)
        if one["given_at"] and one["status"] in _ANSWERS:
            yield Happened(as_day(one["given_at"]), _ANSWERS[one["status"]], name)


def _of_agreements(known: Known) -> Iterator[Happened]:
    for one in known.agreements["agreements"] if known.agreements else ():
        name = known.organisations.get(str(one["organisation_id"]), "")
        yield Happened(as_day(one["invited_on"]), _("The organisation said yes"), name)
        if one["held_on"]:
            yield Happened(as_day(one["held_on"]), _("The start-up meeting was held"), name)
        if one["in_force_on"]:
            yield Happened(as_day(one["in_force_on"]), _("All had signed the agreement"), name)
        for update in one["updates"]:
            if update["reported_on"]:
                yield Happened(as_day(update["reported_on"]), _("The organisation told how it goes"), name)
        if one["ended_on"]:
            yield Happened(as_day(one["ended_on"]), _("The cooperation ended"), name)


def _of_evaluations(known: Known) -> Iterator[Happened]:
    for course in known.evaluations["collaborations"] if known.evaluations else ():
        name = known.organisations.get(str(course["organisation_id"]), "")
        for one in course["evaluations"]:
            for voice in one["voices"]:
                yield Happened(as_day(voice["on"]), _("A voice was heard for the evaluation"), name)
            if one["concluded_on"]:
                yield Happened(as_day(one["concluded_on"]), _("An evaluation was concluded"), name)
        for taken in course["measurements"]:
            yield Happened(as_day(taken["taken_on"]), _("The child's well-being was measured"), name)
