"""Escalation ladder: its steps around a day, the next step after a moment, and the step of a fired timer."""

from datetime import date, datetime, timedelta

import pytest

from contracts.model import load_model, model_folder
from services.kernel.decider.decision import Timer, TimerFired
from services.kernel.decider.escalation import (
    AUTOMATIC,
    DUE,
    LEADER,
    REMINDER,
    STAND_IN,
    DueStep,
    due_step,
    escalation_steps,
    is_current,
    next_step_at,
    steps_on,
    timer_changes,
)
from services.kernel.decider.working_days import calendar_of
from services.kernel.ids import new_id

MODEL = load_model(model_folder() / "kerteminde.toml")
CALENDAR = calendar_of(MODEL)
WEDNESDAY = date(2026, 3, 11)
STEPS = escalation_steps(CALENDAR, MODEL.ladder, WEDNESDAY)


def at(day: date) -> datetime:
    """Return the moment at which a day's work falls due."""
    return CALENDAR.morning(day)


def test_the_ladder_has_its_steps_in_working_days_around_the_day() -> None:
    """A reminder two days before, the stand-in on the day, the leader and the end a week apart."""
    assert (
        (REMINDER, at(date(2026, 3, 9))),
        (DUE, at(WEDNESDAY)),
        (STAND_IN, at(WEDNESDAY)),
        (LEADER, at(date(2026, 3, 18))),
        (AUTOMATIC, at(date(2026, 3, 25))),
    ) == STEPS


def test_a_day_off_counts_as_the_next_working_day() -> None:
    """What is due on a Sunday is due on Monday."""
    sunday, monday = date(2026, 3, 15), date(2026, 3, 16)

    assert escalation_steps(CALENDAR, MODEL.ladder, sunday) == escalation_steps(
        CALENDAR, MODEL.ladder, monday
    )


def test_a_service_leaves_out_steps() -> None:
    """The other steps keep their days."""
    fewer = escalation_steps(CALENDAR, MODEL.ladder, WEDNESDAY, frozenset({DUE, AUTOMATIC}))

    assert fewer == tuple(step for step in STEPS if step[0] not in {DUE, AUTOMATIC})


@pytest.mark.parametrize(
    ("now", "following"),
    [
        (at(date(2026, 3, 1)), at(date(2026, 3, 9))),
        (at(date(2026, 3, 9)), at(WEDNESDAY)),
        (at(date(2026, 3, 24)), at(date(2026, 3, 25))),
        (at(date(2026, 3, 25)), None),
    ],
)
def test_the_next_step_lies_after_the_moment(now: datetime, following: datetime | None) -> None:
    """A step that has come is not set again."""
    assert next_step_at(STEPS, now) == following


def test_a_fired_timer_stands_for_the_last_step_that_has_come() -> None:
    """Before the first step there is none, after the last step there is no following one."""
    steps = steps_on(CALENDAR, (REMINDER, date(2026, 3, 9)), (AUTOMATIC, date(2026, 3, 30)))
    first, last = at(date(2026, 3, 9)), at(date(2026, 3, 30))

    assert due_step(steps, first - timedelta(seconds=1)) is None
    assert due_step(steps, first) == DueStep(REMINDER, first, last)
    assert due_step(steps, first + timedelta(hours=1)) == DueStep(REMINDER, first, last)
    assert due_step(steps, last) == DueStep(AUTOMATIC, last, None)


def test_only_changed_timers_are_set_and_missing_ones_cancelled() -> None:
    """An unchanged timer may have fired, and is left alone."""
    ref = new_id()
    kept, moved, gone = (Timer(kind, ref, at(WEDNESDAY)) for kind in ("kept", "moved", "gone"))
    later = Timer("moved", ref, at(date(2026, 3, 12)))

    assert timer_changes((kept, moved, gone), (kept, later)) == (Timer("gone", ref, None), later)


def test_a_timer_that_a_later_one_has_replaced_is_not_current() -> None:
    """A timer that fires late is current all the same."""
    ref = new_id()
    timers = (Timer("due", ref, at(WEDNESDAY)),)

    assert is_current(TimerFired("due", ref, at(WEDNESDAY)), timers)
    assert is_current(TimerFired("due", ref, at(WEDNESDAY) + timedelta(hours=1)), timers)
    assert not is_current(TimerFired("due", ref, at(date(2026, 3, 10))), timers)
    assert not is_current(TimerFired("due", new_id(), at(WEDNESDAY)), timers)
