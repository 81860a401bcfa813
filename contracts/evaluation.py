"""Events of evaluations and measurements; the stream is the case."""

from datetime import date
from typing import ClassVar
from uuid import UUID

from contracts.event import AccessRefused, Code, Event, EventDropped, Facts, Looked


class GoalAttained(Facts):
    """How far one goal was reached."""

    goal_id: UUID
    attainment: Code


class DimensionChange(Facts):
    """How a case has moved on one dimension of the model: better, same, worse or missing."""

    dimension: Code
    change: Code


class MeasurementTaken(Event):
    """The child was measured on the model's dimensions; the scores stay in the service."""

    type: ClassVar[str] = "evaluation.measurement_taken.v1"

    agreement_id: UUID
    measurement_id: UUID
    moment: Code
    taken_on: date
    dimensions: tuple[Code, ...]


class EvaluationPlanned(Event):
    """It is set when the next evaluation is held."""

    type: ClassVar[str] = "evaluation.planned.v1"

    evaluation_id: UUID
    agreement_id: UUID
    organisation_id: UUID
    due_on: date


class EvaluationDue(Event):
    """The day has come: the voices of child, family and organisation are wanted."""

    type: ClassVar[str] = "evaluation.due.v1"

    evaluation_id: UUID
    agreement_id: UUID
    organisation_id: UUID
    due_on: date


class EvaluationNudged(Event):
    """An evaluation is near due or late; the next person responsible is notified."""

    type: ClassVar[str] = "evaluation.nudged.v1"

    evaluation_id: UUID
    organisation_id: UUID
    due_on: date
    rung: Code


class VoiceHeard(Event):
    """One of the three has given their view, or has chosen not to."""

    type: ClassVar[str] = "evaluation.voice_heard.v1"

    evaluation_id: UUID
    voice: Code
    answer: Code


class EvaluationConcluded(Event):
    """The parties have reviewed the goals and decided how it goes on."""

    type: ClassVar[str] = "evaluation.concluded.v1"

    evaluation_id: UUID
    agreement_id: UUID
    organisation_id: UUID
    decision: Code
    reason: Code
    attained: tuple[GoalAttained, ...]


class OutcomeReckoned(Event):
    """The last measurement was compared with the first."""

    type: ClassVar[str] = "evaluation.outcome_reckoned.v1"

    agreement_id: UUID
    changes: tuple[DimensionChange, ...]


class EvaluationLooked(Looked):
    """Somebody has read personal data in the evaluation service."""

    type: ClassVar[str] = "evaluation.looked.v1"


class EvaluationAccessRefused(AccessRefused):
    """Somebody was refused data or a step in the evaluation service."""

    type: ClassVar[str] = "evaluation.access_refused.v1"


class EvaluationEventDropped(EventDropped):
    """An operator has discarded an event that the evaluation service could not apply."""

    type: ClassVar[str] = "evaluation.event_dropped.v1"
