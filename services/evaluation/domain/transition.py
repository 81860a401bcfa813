"""Transition of a collaboration or of an evaluation from one state to the next, in its case; pure."""

from datetime import date
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from contracts.evaluation import EvaluationPlanned
from contracts.event import Event
from contracts.model import CollaborationModel
from services.evaluation.domain.deadlines import timers_of
from services.evaluation.domain.states import (
    Case,
    Collaboration,
    Due,
    Evaluation,
    Planned,
    evaluation_of,
)
from services.kernel.decider.decision import Context, Decision
from services.kernel.decider.escalation import timer_changes
from services.kernel.decider.working_days import calendar_of
from services.kernel.errors import InvalidTransition


class Transition(Struct, frozen=True):
    """A collaboration of a case, by its agreement, or one evaluation of it, and the context of the decision.

    `about` is the id of what moves: the agreement for the collaboration, or an evaluation.
    """

    case: Case
    agreement_id: UUID
    about: UUID
    context: Context

    @property
    def collaboration(self) -> Collaboration:
        """The collaboration, as it is before the step."""
        return self.case.collaborations[self.agreement_id]

    @property
    def model(self) -> CollaborationModel:
        """The version of the model that the agreement began under."""
        return self.context.models[self.collaboration.about.model]

    @property
    def today(self) -> date:
        """The local day of the decision."""
        return calendar_of(self.model).today(self.context.now)

    def moved(self, after: Collaboration, *events: Event) -> Decision:
        """Return the case with the collaboration in its new state, and its timers set by that state."""
        model = self.context.models[after.about.model]
        before = self.case.collaborations.get(self.agreement_id)
        case = replace(self.case, collaborations={**self.case.collaborations, self.agreement_id: after})
        old = () if before is None else timers_of(self.case, before, model)
        return Decision(case, events, timer_changes(old, timers_of(case, after, model)))

    def with_evaluation(self, evaluation: Evaluation) -> Collaboration:
        """Return the collaboration with this evaluation in its new state."""
        collaboration = self.collaboration
        return replace(collaboration, evaluations={**collaboration.evaluations, self.about: evaluation})


def with_next(
    agreement_id: UUID, collaboration: Collaboration, day: date | None
) -> tuple[Collaboration, tuple[Event, ...]]:
    """Plan the next evaluation for a day, unless there is no day left or one still waits to be held."""
    if day is None or any(isinstance(one, Planned | Due) for one in collaboration.evaluations.values()):
        return collaboration, ()
    number = len(collaboration.evaluations) + 1
    evaluation_id = evaluation_of(agreement_id, number)
    planned = Planned(number=number, due_on=day)
    after = replace(collaboration, evaluations={**collaboration.evaluations, evaluation_id: planned})
    event = EvaluationPlanned(
        evaluation_id=evaluation_id,
        agreement_id=agreement_id,
        organisation_id=after.about.organisation_id,
        due_on=day,
    )
    return after, (event,)


def wrong_moment(before: object, command: object) -> InvalidTransition:
    """Return the error for a command that does not fit a state."""
    return InvalidTransition(f"{type(before).__name__} {type(command).__name__}")
