"""What falls due in an agreement: a pure function of its state."""

from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final
from uuid import UUID

from contracts.model import CollaborationModel
from contracts.model_parts import Ladder
from services.agreement.domain_states import Agreement, InForce, Invited
from services.kernel.calendar import Calendar
from services.kernel.decision import Timer, TimerFired

MEETING: Final = "meeting"
PROGRESS: Final = "progress"
END: Final = "end"
AUTOMATIC: Final = "automatic"

_ONE_DAY: Final = timedelta(days=1)


def calendar_of(model: CollaborationModel) -> Calendar:
    """Return the working days of a model."""
    return Calendar(
        country=model.calendar.holidays,
        closed=model.calendar.closed_days,
        timezone="Europe/Copenhagen",  # Norway keeps the same time
    )


def timers_of(ref: UUID, agreement: Agreement | None, model: CollaborationModel) -> tuple[Timer, ...]:
    """Return when an agreement in this state is to be woken."""
    match agreement:
        case Invited(meeting_by=day):
            return _ladder(MEETING, ref, day, model)
        case InForce(terms=terms, expected=expected):
            end = Timer(END, ref, calendar_of(model).morning(terms.ends_on))
            if expected.due_on >= terms.ends_on:
                return (end,)
            return (*_ladder(PROGRESS, ref, expected.due_on, model), end)
        case _:
            return ()


def turned(before: tuple[Timer, ...], after: tuple[Timer, ...]) -> tuple[Timer, ...]:
    """Return what is to be set and taken back; what stays as it was may have fired and is left alone."""
    kept = {timer.kind for timer in after}
    gone = tuple(Timer(timer.kind, timer.ref, None) for timer in before if timer.kind not in kept)
    return gone + tuple(timer for timer in after if timer not in before)


def awaited(fired: TimerFired, timers: tuple[Timer, ...]) -> bool:
    """Return whether the state waits for this timer, and not for a later one that has replaced it."""
    return any(
        timer.kind == fired.kind and timer.due_at is not None and timer.due_at <= fired.due_at
        for timer in timers
    )


def _ladder(step: str, ref: UUID, due_on: date, model: CollaborationModel) -> tuple[Timer, ...]:
    """Return the rungs of the silence ladder for something due on a day, or on the next working day."""
    return tuple(
        Timer(f"{step}_{rung}", ref, at) for rung, at in _rungs(calendar_of(model), model.ladder, due_on)
    )


@lru_cache(maxsize=4096)
def _rungs(calendar: Calendar, ladder: Ladder, due_on: date) -> tuple[tuple[str, datetime], ...]:
    day = calendar.after(due_on - _ONE_DAY, 1)
    rungs = (
        ("reminder", -ladder.reminder_before),
        ("stand_in", ladder.stand_in_after),
        ("leader", ladder.leader_after),
        (AUTOMATIC, ladder.move_after),
    )
    return tuple((rung, calendar.morning(calendar.after(day, days))) for rung, days in rungs)
