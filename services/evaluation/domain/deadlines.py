"""Deadlines of collaborations and evaluations: what each state waits for, and what is made of it; pure.

Timers and work items are made of the waits; the days of the evaluations follow from the plan and the model.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final, assert_never
from uuid import UUID

from contracts.model import CollaborationModel
from services.evaluation.domain.states import (
    Cancelled,
    Case,
    Collaboration,
    Concluded,
    Due,
    Evaluation,
    Missed,
    Open,
    Over,
    Plan,
    Planned,
    Running,
)
from services.kernel.decider.deadlines import Waiting
from services.kernel.decider.decision import Timer
from services.kernel.decider.escalation import DUE, REMINDER, escalation_steps
from services.kernel.decider.work_items import Owner, Subject, WorkItem, work_items
from services.kernel.decider.working_days import calendar_of

CONCLUSION: Final = "conclusion"
VOICE: Final = "voice"
END: Final = "end"

NOBODY: Final = "nobody"
"""The party of a wait that ends by itself."""

_AHEAD: Final = timedelta(days=30)


def waiting(case: Case, subject: Collaboration | Evaluation) -> tuple[Waiting, ...]:
    """Return what a collaboration or an evaluation waits for; nothing once it is over."""
    match subject:
        case Running(plan=plan, measured=measured):
            end = Waiting(END, NOBODY, plan.starts_on, plan.ends_on)
            return (end,) if "start" in measured else (_measurement("start", plan.starts_on), end)
        case Over():
            return _last_measurements(subject)
        case Planned() | Due():
            return (_conclusion(subject, then="missed"), *_voices(case, subject))
        case Missed():
            return (_conclusion(subject, then=""), *_voices(case, subject))
        case Concluded() | Cancelled():
            return ()
        case _:
            assert_never(subject)


def _measurement(moment: str, due_on: date, ahead: timedelta = timedelta()) -> Waiting:
    return Waiting(f"measurement_{moment}", "municipality", due_on - ahead, due_on)


def _last_measurements(over: Over) -> tuple[Waiting, ...]:
    """Return the measurements that are left; the one after only where there is a first to compare with."""
    waits = []
    if "end" not in over.measured:
        waits.append(_measurement("end", over.ended_on))
    if "start" in over.measured and "after" not in over.measured:
        waits.append(_measurement("after", over.after_on, _AHEAD))
    return tuple(waits)


def _conclusion(evaluation: Open, then: str) -> Waiting:
    return Waiting(CONCLUSION, "municipality", evaluation.due_on - _AHEAD, evaluation.due_on, then)


def _voices(case: Case, evaluation: Open) -> tuple[Waiting, ...]:
    """Return the parties whose voice is missing."""
    silent = {
        "family": bool(_silent_guardians(case, evaluation)),
        "young_person": case.young_person_id is not None
        and not _has_spoken(evaluation, "child", case.young_person_id),
        "organisation": not any(one.voice == "organisation" for one in evaluation.voices),
    }
    due = evaluation.due_on
    return tuple(Waiting(VOICE, party, due, due) for party, missing in silent.items() if missing)


def _silent_guardians(case: Case, evaluation: Open) -> tuple[UUID, ...]:
    """Return the guardians who have not spoken; each speaks for themselves."""
    return tuple(one for one in case.guardians if not _has_spoken(evaluation, "family", one))


def _has_spoken(evaluation: Open, voice: str, person: UUID) -> bool:
    return any((one.voice, one.by) == (voice, person) for one in evaluation.voices)


def timers_of(case: Case, collaboration: Collaboration, model: CollaborationModel) -> tuple[Timer, ...]:
    """Return the timers of a collaboration: the escalation of each evaluation that may be missed."""
    return tuple(
        Timer(f"{one.what}:{step}", evaluation_id, at)
        for evaluation_id, evaluation in collaboration.evaluations.items()
        for one in waiting(case, evaluation)
        if one.then and one.until
        for step, at in escalation_steps(calendar_of(model), model.ladder, one.until, _passed(evaluation))
    )


def _passed(evaluation: Evaluation) -> frozenset[str]:
    """Return the steps of the escalation that lie behind an evaluation in its state."""
    return frozenset() if isinstance(evaluation, Planned) else frozenset({REMINDER, DUE})


def work_items_of(case: Case) -> tuple[WorkItem, ...]:
    """Return the work items of a case: one for each who can end a wait."""
    return tuple(
        item
        for agreement_id, collaboration in case.collaborations.items()
        for item in (
            *_items(case, agreement_id, collaboration, agreement_id),
            *(
                item
                for evaluation_id in collaboration.evaluations
                for item in _items(case, agreement_id, collaboration, evaluation_id)
            ),
        )
    )


def _items(case: Case, agreement_id: UUID, collaboration: Collaboration, about: UUID) -> Iterator[WorkItem]:
    evaluation = collaboration.evaluations.get(about)
    subject = Subject(agreement_id, about, collaboration.about.model)
    for one in waiting(case, evaluation or collaboration):
        yield from work_items(one, subject, _owners(case, collaboration, evaluation, one.party))


def _owners(
    case: Case, collaboration: Collaboration, evaluation: Evaluation | None, party: str
) -> tuple[Owner, ...]:
    match party, evaluation:
        case "municipality", _:
            return (Owner("caseworker", case.department_id),)
        case "organisation", _:
            until = case.consents.get(collaboration.about.referral_id)
            return (Owner("coordinator", collaboration.about.organisation_id, until),)
        case "young_person", _:
            return (Owner("young_person", case.young_person_id),)
        case "family", (Planned() | Due() | Missed()):
            return tuple(Owner("guardian", one) for one in _silent_guardians(case, evaluation))
        case _:
            return ()


def first_day(plan: Plan, model: CollaborationModel, today: date) -> date:
    """Return when the first evaluation of an agreement is held; every agreement has one.

    Where the last name came after the first day, it counts from the day that brought it into force.
    """
    return next_day(max(plan.starts_on, today), plan, model) or plan.ends_on


def next_day(since: date, plan: Plan, model: CollaborationModel) -> date | None:
    """Return when the next evaluation is held: one interval on, or early enough before the end.

    Early enough is when the whole escalation fits before the last day. None where no time is left.
    """
    last = calendar_of(model).after(plan.ends_on, -model.ladder.move_after)
    day = min(since + timedelta(days=plan.evaluate_every_days), last)
    return day if day > since else None
