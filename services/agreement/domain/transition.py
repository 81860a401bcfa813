"""Transition of an agreement from one state to the next: the case around it, and the context; pure."""

from datetime import date
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from contracts.event import Event
from contracts.model import CollaborationModel
from services.agreement.domain.deadlines import timers_of
from services.agreement.domain.states import Agreement, Case
from services.kernel.decider.decision import Context, Decision
from services.kernel.decider.escalation import timer_changes
from services.kernel.decider.working_days import calendar_of
from services.kernel.errors import InvalidTransition


class Transition(Struct, frozen=True):
    """One agreement of a case, and the context of the decision on it."""

    case: Case
    agreement_id: UUID
    context: Context

    @property
    def model(self) -> CollaborationModel:
        """The version of the model that the agreement began under."""
        return self.context.models[self.case.agreements[self.agreement_id].about.model]

    @property
    def today(self) -> date:
        """The local day of the decision."""
        return calendar_of(self.model).today(self.context.now)

    def moved(self, after: Agreement, *events: Event) -> Decision:
        """Return the case with the agreement in its new state, and its timers set by that state."""
        model = self.context.models[after.about.model]
        before = self.case.agreements.get(self.agreement_id)
        return Decision(
            replace(self.case, agreements={**self.case.agreements, self.agreement_id: after}),
            events,
            timer_changes(
                () if before is None else timers_of(self.case, self.agreement_id, before, model),
                timers_of(self.case, self.agreement_id, after, model),
            ),
        )


def unchanged(transition: Transition, _before: Agreement | None, _trigger: object) -> Decision:
    """Return the case as it is: a repetition, or nothing that concerns the agreement."""
    return Decision(transition.case)


def wrong_moment(before: object, command: object) -> InvalidTransition:
    """Return the error for a command that does not fit a state."""
    return InvalidTransition(f"{type(before).__name__} {type(command).__name__}")
