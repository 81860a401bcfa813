"""What falls due in an agreement: a pure function of its state."""

from datetime import date
from typing import Final
from uuid import UUID

from contracts.model import CollaborationModel
from services.agreement.domain_states import Agreement, InForce, Invited
from services.kernel.decider.decision import Timer
from services.kernel.decider.escalation import DUE, escalation_steps
from services.kernel.decider.working_days import calendar_of

MEETING: Final = "meeting"
PROGRESS: Final = "progress"
END: Final = "end"


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


def _ladder(step: str, ref: UUID, due_on: date, model: CollaborationModel) -> tuple[Timer, ...]:
    """Return the rungs of the silence ladder for something due on a day, or on the next working day."""
    return tuple(
        Timer(f"{step}_{rung}", ref, at)
        for rung, at in escalation_steps(calendar_of(model), model.ladder, due_on)
        if rung != DUE
    )
