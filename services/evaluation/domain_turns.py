"""How a collaboration turns from one state into the next; pure."""

from datetime import date
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from contracts.evaluation import EvaluationPlanned
from contracts.event import Event
from contracts.model import CollaborationModel
from services.evaluation.domain_states import (
    About,
    Case,
    Collaboration,
    Due,
    Evaluation,
    Planned,
    Running,
    evaluation_of,
)
from services.evaluation.timers import timers_of
from services.kernel.decider.decision import Context, Decision
from services.kernel.decider.escalation import timer_changes
from services.kernel.decider.working_days import calendar_of


class Place(Struct, frozen=True):
    """A collaboration that runs, where it stands in its case."""

    case: Case
    agreement_id: UUID
    running: Running


def turn(case: Case, agreement_id: UUID, after: Collaboration, context: Context, *events: Event) -> Decision:
    """Return the case with one collaboration in its new state, and its timers set as that state asks."""
    model = model_of(after.about, context)
    before = timers_of(case.collaborations.get(agreement_id), model)
    return Decision(
        replace(case, collaborations={**case.collaborations, agreement_id: after}),
        events,
        timer_changes(before, timers_of(after, model)),
    )


def with_evaluation(running: Running, evaluation_id: UUID, evaluation: Evaluation) -> Running:
    """Return the collaboration with one evaluation set."""
    return replace(running, evaluations={**running.evaluations, evaluation_id: evaluation})


def with_next(agreement_id: UUID, running: Running, day: date | None) -> tuple[Running, tuple[Event, ...]]:
    """Plan the next evaluation for a day, unless there is no day left or one still waits to be held."""
    if day is None or any(isinstance(one, Planned | Due) for one in running.evaluations.values()):
        return running, ()
    number = len(running.evaluations) + 1
    evaluation_id = evaluation_of(agreement_id, number)
    after = with_evaluation(running, evaluation_id, Planned(number=number, due_on=day))
    told = EvaluationPlanned(
        evaluation_id=evaluation_id,
        agreement_id=agreement_id,
        organisation_id=after.about.organisation_id,
        due_on=day,
    )
    return after, (told,)


def model_of(about: About, context: Context) -> CollaborationModel:
    """Return the version of the model that the agreement began under."""
    return context.models[about.model]


def today_of(about: About, context: Context) -> date:
    """Return the local day of the decision."""
    return calendar_of(model_of(about, context)).today(context.now)
