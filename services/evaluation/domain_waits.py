"""What waits for whom in a case: the rows of everybody's work list; pure."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from msgspec import Struct

from services.evaluation.domain_states import Case, Collaboration, Due, Missed, Open, Over, Planned, Running

_AHEAD: Final = timedelta(days=30)


class Wait(Struct, frozen=True):
    """Something that waits for somebody: a department, an organisation or a person, by their role.

    `about` is an evaluation or an agreement. It is shown from a day on; an organisation sees it `until` its
    consent ends.
    """

    role: str
    whose: UUID
    agreement_id: UUID
    about: UUID
    what: str
    shown_from: date
    due_on: date
    until: datetime | None = None


def waits_of(case: Case) -> tuple[Wait, ...]:
    """Return what waits for whom in a case."""
    return tuple(
        wait
        for agreement_id, collaboration in case.collaborations.items()
        for wait in (
            *_measurements(case, agreement_id, collaboration),
            *_evaluations(case, agreement_id, collaboration),
        )
    )


def _measurements(case: Case, agreement_id: UUID, collaboration: Collaboration) -> Iterator[Wait]:
    """Ask the caseworker for what was not measured; at last only where there is a first to compare with."""
    if case.department_id is None:
        return
    for moment, shown_from, due_on in _unmeasured(collaboration):
        what = f"measurement_{moment}"
        yield Wait("caseworker", case.department_id, agreement_id, agreement_id, what, shown_from, due_on)


def _unmeasured(collaboration: Collaboration) -> Iterator[tuple[str, date, date]]:
    measured = collaboration.measured
    match collaboration:
        case Running(plan=plan) if "start" not in measured:
            yield "start", plan.starts_on, plan.starts_on
        case Over(ended_on=ended_on, after_on=after_on):
            if "end" not in measured:
                yield "end", ended_on, ended_on
            if "start" in measured and "after" not in measured:
                yield "after", after_on - _AHEAD, after_on


def _evaluations(case: Case, agreement_id: UUID, collaboration: Collaboration) -> Iterator[Wait]:
    if not isinstance(collaboration, Running):
        return
    for evaluation_id, evaluation in collaboration.evaluations.items():
        if not isinstance(evaluation, Planned | Due | Missed):
            continue
        due = evaluation.due_on
        if case.department_id is not None:
            department = case.department_id
            yield Wait("caseworker", department, agreement_id, evaluation_id, "conclusion", due - _AHEAD, due)
        for role, whose, until in _unheard(case, collaboration, evaluation):
            yield Wait(role, whose, agreement_id, evaluation_id, "voice", due, due, until)


def _unheard(case: Case, running: Running, evaluation: Open) -> Iterator[tuple[str, UUID, datetime | None]]:
    """Return who has not spoken: each of the family for themselves, anybody for an organisation."""
    spoken = {(one.voice, one.by) for one in evaluation.voices}
    for guardian in case.guardians:
        if ("family", guardian) not in spoken:
            yield "guardian", guardian, None
    young_person = case.young_person_id
    if young_person is not None and ("child", young_person) not in spoken:
        yield "young_person", young_person, None
    until = case.consents.get(running.about.referral_id)
    if until is not None and not any(voice == "organisation" for voice, _ in spoken):
        yield "coordinator", running.about.organisation_id, until
