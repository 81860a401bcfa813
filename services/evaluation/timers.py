"""What falls due in an evaluation, and when the next one is held: pure functions of the state."""

from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final
from uuid import UUID

from contracts.model import CollaborationModel
from contracts.model_parts import Ladder
from services.evaluation.domain_states import Collaboration, Due, Evaluation, Plan, Planned, Running
from services.kernel.calendar import Calendar
from services.kernel.decision import Timer, TimerFired

REMINDER: Final = "reminder"
DUE: Final = "due"
AUTOMATIC: Final = "automatic"

_ONE_DAY: Final = timedelta(days=1)
_MONTHS_A_YEAR: Final = 12


def calendar_of(model: CollaborationModel) -> Calendar:
    """Return the working days of a model."""
    return Calendar(
        country=model.calendar.holidays,
        closed=model.calendar.closed_days,
        timezone="Europe/Copenhagen",  # Norway keeps the same time
    )


def first_day(plan: Plan, model: CollaborationModel) -> date:
    """Return when the first evaluation of an agreement is held; every agreement has one."""
    return next_day(plan.starts_on, plan, model) or plan.ends_on


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


def turned(before: tuple[Timer, ...], after: tuple[Timer, ...]) -> tuple[Timer, ...]:
    """Return what is to be set and taken back; what stays as it was may have fired and is left alone."""
    kept = {(timer.kind, timer.ref) for timer in after}
    gone = tuple(
        Timer(timer.kind, timer.ref, None) for timer in before if (timer.kind, timer.ref) not in kept
    )
    return gone + tuple(timer for timer in after if timer not in before)


def awaited(fired: TimerFired, timers: tuple[Timer, ...]) -> bool:
    """Return whether the state waits for this timer, and not for a later one that has replaced it."""
    return any(
        (timer.kind, timer.ref) == (fired.kind, fired.ref)
        and timer.due_at is not None
        and timer.due_at <= fired.due_at
        for timer in timers
    )


def _timers(ref: UUID, evaluation: Evaluation, model: CollaborationModel) -> tuple[Timer, ...]:
    rungs = _rungs(calendar_of(model), model.ladder, evaluation.due_on)
    match evaluation:
        case Planned():
            return tuple(Timer(rung, ref, at) for rung, at in rungs)
        case Due():
            return tuple(Timer(rung, ref, at) for rung, at in rungs if rung not in {REMINDER, DUE})
        case _:
            return ()


@lru_cache(maxsize=4096)
def _rungs(calendar: Calendar, ladder: Ladder, due_on: date) -> tuple[tuple[str, datetime], ...]:
    """Return the silence ladder around a day, or around the next working day."""
    day = calendar.after(due_on - _ONE_DAY, 1)
    rungs = (
        (REMINDER, -ladder.reminder_before),
        (DUE, 0),
        ("stand_in", ladder.stand_in_after),
        ("leader", ladder.leader_after),
        (AUTOMATIC, ladder.move_after),
    )
    return tuple((rung, calendar.morning(calendar.after(day, days))) for rung, days in rungs)
