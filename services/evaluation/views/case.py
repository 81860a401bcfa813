"""Answers about a case, as one reader may see it: of the private values only what is for them; pure."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Protocol, TypeAlias, assert_never
from uuid import UUID

from pydantic import BaseModel

from services.evaluation.domain.access import may_read_scores, may_read_words, visible_to
from services.evaluation.domain.states import (
    Attainment,
    Cancelled,
    Case,
    Change,
    Collaboration,
    Concluded,
    Due,
    Evaluation,
    Measured,
    Missed,
    Moment,
    Over,
    Planned,
    Running,
    Spoken,
    note_name,
    scores_name,
    status_of,
    words_name,
)
from services.kernel.decider.decision import Actor
from services.kernel.http.fields import status_of_any

_Private: TypeAlias = Mapping[str, Any]

EvaluationStatus = Annotated[str, status_of_any(Evaluation)]
CollaborationStatus = Annotated[str, status_of_any(Collaboration)]


class VoiceView(BaseModel):
    """One voice; the words are missing where they are not for the reader, or were erased."""

    voice: str
    answer: str
    on: date
    mine: bool
    text: str | None


class EvaluationView(BaseModel):
    """One evaluation, its voices, and what was decided."""

    evaluation_id: UUID
    number: int
    status: EvaluationStatus
    due_on: date
    voices: list[VoiceView]
    concluded_on: date | None
    decision: str | None
    reason: str | None
    attained: dict[UUID, Attainment]
    note: str | None


class MeasurementView(BaseModel):
    """One measurement; an organisation does not see the scores."""

    measurement_id: UUID
    moment: str
    taken_on: date
    dimensions: list[str]
    scores: dict[str, float] | None


class CollaborationView(BaseModel):
    """What one agreement comes to."""

    agreement_id: UUID
    referral_id: UUID
    organisation_id: UUID
    status: CollaborationStatus
    goal_ids: list[UUID]
    starts_on: date
    ends_on: date
    ended_on: date | None
    reason: str | None
    evaluations: list[EvaluationView]
    measurements: list[MeasurementView]
    outcomes: dict[Moment, dict[str, Change]]


class CaseView(BaseModel):
    """The collaborations of a case that the reader may see."""

    case_id: UUID
    version: int
    collaborations: list[CollaborationView]


class WorkView(BaseModel):
    """One thing that waits for the reader; without an evaluation it is a measurement."""

    case_id: UUID
    agreement_id: UUID
    evaluation_id: UUID | None
    what: str
    due_on: date


class _Read(Protocol):
    @property
    def state(self) -> Any: ...
    @property
    def version(self) -> int: ...
    @property
    def private(self) -> _Private: ...


def case_for(case_id: UUID, read: _Read, actor: Actor, now: datetime) -> CaseView:
    """Return the collaborations of a case that an authorized reader sees."""
    return CaseView(
        case_id=case_id,
        version=read.version,
        collaborations=collaborations_for(read.state, read.private, actor, now),
    )


def collaborations_for(case: Case, private: _Private, actor: Actor, now: datetime) -> list[CollaborationView]:
    """Return the collaborations of a case that a reader sees."""
    return [
        _collaboration_view(agreement_id, collaboration, private, actor)
        for agreement_id, collaboration in visible_to(case, actor, now).items()
    ]


def _collaboration_view(
    agreement_id: UUID, collaboration: Collaboration, private: _Private, actor: Actor
) -> CollaborationView:
    ended_on, reason = _end_of(collaboration)
    scored = may_read_scores(actor)
    return CollaborationView(
        agreement_id=agreement_id,
        referral_id=collaboration.about.referral_id,
        organisation_id=collaboration.about.organisation_id,
        status=status_of(collaboration),
        goal_ids=list(collaboration.plan.goal_ids),
        starts_on=collaboration.plan.starts_on,
        ends_on=collaboration.plan.ends_on,
        ended_on=ended_on,
        reason=reason,
        evaluations=[
            _evaluation_view(evaluation_id, evaluation, private, actor)
            for evaluation_id, evaluation in collaboration.evaluations.items()
        ],
        measurements=[
            _measurement_view(
                moment, taken, private.get(scores_name(agreement_id, moment)) if scored else None
            )
            for moment, taken in collaboration.measured.items()
        ],
        outcomes=collaboration.outcomes if scored else {},
    )


def _end_of(collaboration: Collaboration) -> tuple[date | None, str | None]:
    match collaboration:
        case Running():
            return None, None
        case Over():
            return collaboration.ended_on, collaboration.reason
        case _:
            assert_never(collaboration)


def _conclusion_of(evaluation: Evaluation) -> Concluded | None:
    match evaluation:
        case Concluded():
            return evaluation
        case Planned() | Due() | Missed() | Cancelled():
            return None
        case _:
            assert_never(evaluation)


def _evaluation_view(
    evaluation_id: UUID, evaluation: Evaluation, private: _Private, actor: Actor
) -> EvaluationView:
    concluded = _conclusion_of(evaluation)
    return EvaluationView(
        evaluation_id=evaluation_id,
        number=evaluation.number,
        status=status_of(evaluation),
        due_on=evaluation.due_on,
        voices=[_voice_view(evaluation_id, spoken, private, actor) for spoken in evaluation.voices],
        concluded_on=concluded.concluded_on if concluded else None,
        decision=concluded.decision if concluded else None,
        reason=concluded.reason if concluded else None,
        attained=concluded.attained if concluded else {},
        note=private.get(note_name(evaluation_id)),
    )


def _voice_view(evaluation_id: UUID, spoken: Spoken, private: _Private, actor: Actor) -> VoiceView:
    name = words_name(evaluation_id, spoken.voice, spoken.by)
    return VoiceView(
        voice=spoken.voice,
        answer=spoken.answer,
        on=spoken.on,
        mine=spoken.by == actor.id,
        text=private.get(name) if may_read_words(actor, spoken) else None,
    )


def _measurement_view(moment: Moment, taken: Measured, scores: Mapping[str, float] | None) -> MeasurementView:
    return MeasurementView(
        measurement_id=taken.measurement_id,
        moment=moment,
        taken_on=taken.taken_on,
        dimensions=list(taken.dimensions),
        scores=None if scores is None else dict(scores),
    )
