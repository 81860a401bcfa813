"""What falls due in a referral: one clock each, which climbs from rung to rung."""

from datetime import date, datetime
from functools import lru_cache
from typing import Final
from uuid import UUID

from msgspec import Struct

from contracts.model import CollaborationModel
from services.kernel.decider.decision import Timer
from services.kernel.decider.working_days import Calendar, calendar_of
from services.referral.domain_states import AwaitingConsent, Ready, Recalled, Referral, Seen, Sent, Withdrawn

CLOCK: Final = "clock"
MOVE: Final = "automatic"

_RUNGS: Final = ("reminder", "stand_in", "leader", MOVE)


class Rung(Struct, frozen=True):
    """Who is told on which day; at `MOVE` nobody is told, the referral moves by itself."""

    name: str
    day: date
    at: datetime


class Reached(Struct, frozen=True):
    """The rung that has come, the step it belongs to, and when the next one is due."""

    step: str
    rung: Rung
    following: datetime | None


@lru_cache(maxsize=4096)
def after(calendar: Calendar, day: date, days: int) -> date:
    """Return the day a number of working days after another; the same few are asked for all day long."""
    return calendar.after(day, days)


def rungs_of(referral: Referral, model: CollaborationModel) -> tuple[str, tuple[Rung, ...]]:
    """Return the step that a referral waits in, and its rungs; none where it waits for nobody."""
    match referral:
        case Ready():
            return "ready", _ladder(model, referral.send_by)[:-1]
        case Sent() | Seen():
            return "sent", _ladder(model, referral.answer_by)
        case AwaitingConsent():
            days = (("reminder", referral.remind_on), (MOVE, referral.lapse_on))
            morning = calendar_of(model).morning
            return "awaiting_consent", tuple(Rung(name, day, morning(day)) for name, day in days)
        case (Recalled() | Withdrawn()) as stopped if stopped.delete_by and not stopped.deleted_at:
            return "deletion", _chase(model, stopped.delete_by)
        case _:
            return "", ()


def wound(referral_id: UUID, referral: Referral, model: CollaborationModel, now: datetime) -> Timer:
    """Return the clock of a referral's new state, set to its first rung after `now`, or stopped."""
    for rung in rungs_of(referral, model)[1]:
        if rung.at > now:
            return Timer(CLOCK, referral_id, rung.at)
    return Timer(CLOCK, referral_id, None)


def reached(referral: Referral, model: CollaborationModel, due_at: datetime) -> Reached | None:
    """Return the rung that a time stands for: the last that is not later; none where there is none."""
    step, rungs = rungs_of(referral, model)
    passed = [rung for rung in rungs if rung.at <= due_at]
    if not passed:
        return None
    coming = rungs[len(passed) :]
    return Reached(step, passed[-1], coming[0].at if coming else None)


def _ladder(model: CollaborationModel, due: date) -> tuple[Rung, ...]:
    days = model.ladder
    return _rungs(
        calendar_of(model),
        due,
        (-days.reminder_before, days.stand_in_after, days.leader_after, days.move_after),
    )


@lru_cache(maxsize=4096)
def _rungs(calendar: Calendar, due: date, days: tuple[int, ...]) -> tuple[Rung, ...]:
    turns = [calendar.after(due, each) for each in days]
    return tuple(Rung(name, day, calendar.morning(day)) for name, day in zip(_RUNGS, turns, strict=True))


def _chase(model: CollaborationModel, due: date) -> tuple[Rung, ...]:
    # both deadlines count from the day of the stop; the state keeps the first of them
    further = model.deadlines.delete_escalate - model.deadlines.delete_confirm
    calendar = calendar_of(model)
    escalated = after(calendar, due, further)
    return Rung("stand_in", due, calendar.morning(due)), Rung(
        "leader", escalated, calendar.morning(escalated)
    )
