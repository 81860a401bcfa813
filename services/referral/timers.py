"""What falls due in a referral: one clock each, which climbs from rung to rung."""

from datetime import date, datetime
from functools import lru_cache
from typing import Final, TypeAlias
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from contracts.model import CollaborationModel
from services.kernel.calendar import Calendar
from services.kernel.decision import Timer
from services.referral.domain_states import AwaitingConsent, Ready, Recalled, Referral, Seen, Sent, Withdrawn

CLOCK: Final = "clock"
MOVE: Final = "automatic"
TIMEZONE: Final = "Europe/Copenhagen"


class Rung(Struct, frozen=True):
    """One rung of a step's ladder, its day, and when the following one is due."""

    step: str
    name: str
    day: date
    following: datetime | None = None


Rungs: TypeAlias = tuple[tuple[str, date], ...]
"""Who is told on which day; at `MOVE` nobody is told, the referral moves by itself."""


def calendar_of(model: CollaborationModel) -> Calendar:
    """Return the working days by which a model counts."""
    return Calendar(model.calendar.holidays, model.calendar.closed_days, TIMEZONE)


@lru_cache(maxsize=4096)
def after(calendar: Calendar, day: date, days: int) -> date:
    """Return the day a number of working days after another; the same few are asked for all day long."""
    return calendar.after(day, days)


@lru_cache(maxsize=4096)
def morning(calendar: Calendar, day: date) -> datetime:
    """Return the moment at which a day's work falls due."""
    return calendar.morning(day)


def rungs_of(referral: Referral, model: CollaborationModel) -> tuple[str, Rungs]:
    """Return the step that a referral waits in, and its rungs; none where it waits for nobody."""
    match referral:
        case AwaitingConsent():
            return "awaiting_consent", (("reminder", referral.remind_on), (MOVE, referral.lapse_on))
        case Ready():
            return "ready", _ladder(model, referral.send_by)
        case Sent() | Seen():
            move = after(calendar_of(model), referral.answer_by, model.ladder.move_after)
            return "sent", (*_ladder(model, referral.answer_by), (MOVE, move))
        case (Recalled() | Withdrawn()) as stopped if stopped.delete_by and not stopped.deleted_at:
            return "deletion", _chase(model, stopped.delete_by)
        case _:
            return "", ()


def wound(referral_id: UUID, referral: Referral, model: CollaborationModel, now: datetime) -> Timer:
    """Return the clock of a referral's new state, set to its first rung after `now`, or stopped."""
    calendar = calendar_of(model)
    times = (morning(calendar, day) for _, day in rungs_of(referral, model)[1])
    return Timer(CLOCK, referral_id, next((at for at in times if at > now), None))


def rung_at(referral: Referral, model: CollaborationModel, due_at: datetime) -> Rung | None:
    """Return the rung that a time stands for: the last that is not later; none where there is none."""
    calendar = calendar_of(model)
    step, rungs = rungs_of(referral, model)
    found = None
    for name, day in rungs:
        at = morning(calendar, day)
        if at > due_at:
            return found and replace(found, following=at)
        found = Rung(step, name, day)
    return found


def _ladder(model: CollaborationModel, due: date) -> Rungs:
    calendar = calendar_of(model)
    return (
        ("reminder", after(calendar, due, -model.ladder.reminder_before)),
        ("stand_in", after(calendar, due, model.ladder.stand_in_after)),
        ("leader", after(calendar, due, model.ladder.leader_after)),
    )


def _chase(model: CollaborationModel, due: date) -> Rungs:
    # both deadlines count from the day of the stop; the state keeps the first of them
    further = model.deadlines.delete_escalate - model.deadlines.delete_confirm
    return (("stand_in", due), ("leader", after(calendar_of(model), due, further)))
