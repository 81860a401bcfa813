"""What falls due in an evaluation, and when the next one is held: pure functions of the state."""

from datetime import date, timedelta
from typing import Final
from uuid import UUID

from contracts.model import CollaborationModel
from services.evaluation.domain_states import Collaboration, Due, Evaluation, Plan, Planned, Running
from services.kernel.decider.decision import Timer
from services.kernel.decider.escalation import DUE, REMINDER, escalation_steps
from services.kernel.decider.working_days import calendar_of

_ONE_DAY: Final = timedelta(days=1)
_MONTHS_A_YEAR: Final = 12


def first_day(plan: Plan, model: CollaborationModel, today: date) -> date:
    """Return when the first evaluation of an agreement is held; every agreement has one.

    Where the last name came after the first day, it counts from the day that brought it into force.
    """
    return next_day(max(plan.starts_on, today), plan, model) or plan.ends_on


def next_day(since: date, plan: Plan, model: CollaborationModel) -> date | None:
    """Return when the next evaluation is held: one interval on, or early enough before the end.

    Early enough is when the whole silence ladder fits before the last day. None where no time is left.
    """
    last = calendar_of(model).after(plan.ends_on, -model.ladder.move_after)
    day = min(since + timedelta(days=plan.evaluate_every_days), last)
    return day if day > since else None


def months_after(day: date, months: int) -> date:
    """Return the same day some months later, or that month's last."""
    count = day.year * _MONTHS_A_YEAR + day.month - 1 + months
    first = date(count // _MONTHS_A_YEAR, count % _MONTHS_A_YEAR + 1, 1)
    last = (first + timedelta(days=31)).replace(day=1) - _ONE_DAY
    return first.replace(day=min(day.day, last.day))


def timers_of(collaboration: Collaboration | None, model: CollaborationModel) -> tuple[Timer, ...]:
    """Return when a collaboration in this state is to be woken."""
    if not isinstance(collaboration, Running):
        return ()
    return tuple(
        timer
        for evaluation_id, evaluation in collaboration.evaluations.items()
        for timer in _timers(evaluation_id, evaluation, model)
    )


def _timers(ref: UUID, evaluation: Evaluation, model: CollaborationModel) -> tuple[Timer, ...]:
    rungs = escalation_steps(calendar_of(model), model.ladder, evaluation.due_on)
    match evaluation:
        case Planned():
            return tuple(Timer(rung, ref, at) for rung, at in rungs)
        case Due():
            return tuple(Timer(rung, ref, at) for rung, at in rungs if rung not in {REMINDER, DUE})
        case _:
            return ()
