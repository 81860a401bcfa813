"""Escalation ladder: the steps around a day on which something is due, as timers; pure.

Each step is a name and a moment: a reminder before the day, the day itself, the stand-in, the leader, and
the automatic end of the wait. A service leaves out the steps that it has no use for.
"""

from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final, TypeAlias

from msgspec import Struct

from contracts.model_parts import Ladder
from services.kernel.decider.decision import Timer, TimerFired
from services.kernel.decider.working_days import Calendar

REMINDER: Final = "reminder"
DUE: Final = "due"
STAND_IN: Final = "stand_in"
LEADER: Final = "leader"
AUTOMATIC: Final = "automatic"

Steps: TypeAlias = tuple[tuple[str, datetime], ...]
"""The steps of one ladder in the order of their moments, each with its name."""

_NAMES: Final = (REMINDER, DUE, STAND_IN, LEADER, AUTOMATIC)
_ONE_DAY: Final = timedelta(days=1)
_NO_STEPS: Final[frozenset[str]] = frozenset()


class DueStep(Struct, frozen=True):
    """The step that a fired timer stands for, its moment, and the moment of the step after it."""

    name: str
    at: datetime
    following: datetime | None


def escalation_steps(
    calendar: Calendar, ladder: Ladder, due_on: date, without: frozenset[str] = _NO_STEPS
) -> Steps:
    """Return each step and its moment around a day, or around the next working day.

    `without` names the steps that are left out.
    """
    days = -ladder.reminder_before, 0, ladder.stand_in_after, ladder.leader_after, ladder.move_after
    return _steps(calendar, due_on, days, without)


def steps_on(calendar: Calendar, *days: tuple[str, date]) -> Steps:
    """Return steps on days of their own, each at the hour at which a day's work falls due."""
    return tuple((name, calendar.morning(day)) for name, day in days)


def next_step_at(steps: Steps, now: datetime) -> datetime | None:
    """Return the moment of the first step after `now`; None where all have passed."""
    return next((at for _, at in steps if at > now), None)


def due_step(steps: Steps, due_at: datetime) -> DueStep | None:
    """Return the last step that is not later than a moment; None where the moment is before the first."""
    passed = [(name, at) for name, at in steps if at <= due_at]
    if not passed:
        return None
    name, at = passed[-1]
    return DueStep(name, at, steps[len(passed)][1] if len(passed) < len(steps) else None)


@lru_cache(maxsize=4096)
def _steps(calendar: Calendar, due_on: date, days: tuple[int, ...], without: frozenset[str]) -> Steps:
    """Compute the steps from plain numbers, which are hashed faster than a model's ladder."""
    day = calendar.after(due_on - _ONE_DAY, 1)
    counts = zip(_NAMES, days, strict=True)
    return steps_on(
        calendar, *((name, calendar.after(day, count)) for name, count in counts if name not in without)
    )


def timer_changes(before: tuple[Timer, ...], after: tuple[Timer, ...]) -> tuple[Timer, ...]:
    """Return the timers to set and to cancel; an unchanged timer may have fired and is left alone."""
    kept = {(timer.kind, timer.ref) for timer in after}
    gone = tuple(
        Timer(timer.kind, timer.ref, None) for timer in before if (timer.kind, timer.ref) not in kept
    )
    return gone + tuple(timer for timer in after if timer not in before)


def is_current(fired: TimerFired, timers: tuple[Timer, ...]) -> bool:
    """Return whether a fired timer is one that the state has set, and not one replaced by a later time."""
    return any(
        (timer.kind, timer.ref) == (fired.kind, fired.ref)
        and timer.due_at is not None
        and timer.due_at <= fired.due_at
        for timer in timers
    )
