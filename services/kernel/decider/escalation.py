"""The silence ladder: who is told when a day comes near and passes, as timers; pure."""

from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final

from contracts.model_parts import Ladder
from services.kernel.decider.decision import Timer, TimerFired
from services.kernel.decider.working_days import Calendar

REMINDER: Final = "reminder"
DUE: Final = "due"
STAND_IN: Final = "stand_in"
LEADER: Final = "leader"
AUTOMATIC: Final = "automatic"

_ONE_DAY: Final = timedelta(days=1)


@lru_cache(maxsize=4096)
def escalation_steps(calendar: Calendar, ladder: Ladder, due_on: date) -> tuple[tuple[str, datetime], ...]:
    """Return each rung and its moment around a day, or around the next working day."""
    day = calendar.after(due_on - _ONE_DAY, 1)
    rungs = (
        (REMINDER, -ladder.reminder_before),
        (DUE, 0),
        (STAND_IN, ladder.stand_in_after),
        (LEADER, ladder.leader_after),
        (AUTOMATIC, ladder.move_after),
    )
    return tuple((rung, calendar.morning(calendar.after(day, days))) for rung, days in rungs)


def timer_changes(before: tuple[Timer, ...], after: tuple[Timer, ...]) -> tuple[Timer, ...]:
    """Return what is to be set and taken back; what stays as it was may have fired and is left alone."""
    kept = {(timer.kind, timer.ref) for timer in after}
    gone = tuple(
        Timer(timer.kind, timer.ref, None) for timer in before if (timer.kind, timer.ref) not in kept
    )
    return gone + tuple(timer for timer in after if timer not in before)


def is_current(fired: TimerFired, timers: tuple[Timer, ...]) -> bool:
    """Return whether a state waits for this timer, and not for a later one that has replaced it."""
    return any(
        (timer.kind, timer.ref) == (fired.kind, fired.ref)
        and timer.due_at is not None
        and timer.due_at <= fired.due_at
        for timer in timers
    )
