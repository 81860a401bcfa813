"""Evaluation over HTTP: voices, conclusions, measurements, and what they come to in numbers."""

from datetime import date
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from contracts.event import Code
from services.evaluation import store
from services.evaluation.domain_commands import Conclude, HearVoice, TakeMeasurement
from services.evaluation.domain_outcome import LEAST_SHOWN, told
from services.evaluation.domain_states import Answer, Attainment, Choice, Moment, Voice
from services.evaluation.domain_views import CollaborationView, collaborations_for
from services.kernel.decider.decision import Actor
from services.kernel.errors import NotAllowed
from services.kernel.http.requests import CommandResult, RequestContext, request_context
from services.kernel.ids import new_id

router = APIRouter(prefix="/evaluation", tags=["evaluation"])
EvaluationDesk = Annotated[RequestContext, Depends(request_context("evaluation"))]

Words = Annotated[str, StringConstraints(strip_whitespace=True, max_length=4000)]
Score = Annotated[float, Field(strict=True, allow_inf_nan=False)]

_PURPOSE: Final = {
    "caseworker": "casework",
    "coordinator": "follow_up",
    "guardian": "own_child",
    "young_person": "own_case",
}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class MeasurementBody(_Body):
    """The child's scores by dimension of the model; what was not answered is left out."""

    agreement_id: UUID
    moment: Moment
    scores: Annotated[dict[Code, Score], Field(min_length=1, max_length=50)]


class VoiceBody(_Body):
    """One voice: what it said, or that it would rather not."""

    voice: Voice
    answer: Answer
    text: Words = ""


class GoalBody(_Body):
    """How far one goal was reached."""

    goal_id: UUID
    attainment: Attainment


class ConclusionBody(_Body):
    """How it goes on, why, and how far each goal was reached; all parties read the note."""

    decision: Choice
    reason: Code
    attained: Annotated[list[GoalBody], Field(max_length=20)]
    note: Words = ""


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


class ShareView(BaseModel):
    """A count, its share of the measured, and the interval that the share lies in by 95 per cent."""

    count: int
    share: float
    low: float
    high: float


class DimensionView(BaseModel):
    """What became of the children on one dimension; without numbers where too few stand behind it."""

    dimension: str
    suppressed: bool
    measured: int | None
    missing: int | None
    better: ShareView | None
    same: ShareView | None
    worse: ShareView | None


class OutcomesView(BaseModel):
    """What became of a municipality's children, by dimension of the model."""

    moment: Moment
    least_shown: int
    dimensions: list[DimensionView]


@router.get("/cases/{case_id}")
async def read_case(case_id: UUID, request: EvaluationDesk) -> CaseView:
    """Return a case's evaluations and measurements; the look is logged."""
    seen = await request.read_private(
        case_id,
        what=("evaluations", "voices", "measurements"),
        purpose=_PURPOSE.get(request.actor.role, "other"),
    )
    return CaseView(
        case_id=case_id,
        version=seen.version,
        collaborations=collaborations_for(seen.state, seen.private, request.actor, request.now),
    )


@router.post("/cases/{case_id}/measurements", status_code=201)
async def take_measurement(case_id: UUID, body: MeasurementBody, request: EvaluationDesk) -> CommandResult:
    """Put the child's scores on record; taken again at the same moment, the later scores count."""
    measurement_id = new_id()
    command = TakeMeasurement(body.agreement_id, measurement_id, body.moment, body.scores)
    return await request.execute(case_id, command, created=measurement_id)


@router.post("/cases/{case_id}/evaluations/{evaluation_id}/voices")
async def hear_voice(
    case_id: UUID, evaluation_id: UUID, body: VoiceBody, request: EvaluationDesk
) -> CommandResult:
    """Put one voice on record; nobody's words depend on what others have said meanwhile."""
    return await request.execute(
        case_id, HearVoice(evaluation_id, body.voice, body.answer, body.text), any_version=True
    )


@router.post("/cases/{case_id}/evaluations/{evaluation_id}/conclude")
async def conclude(
    case_id: UUID, evaluation_id: UUID, body: ConclusionBody, request: EvaluationDesk
) -> CommandResult:
    """Decide how it goes on, once the voices are heard."""
    attained = {goal.goal_id: goal.attainment for goal in body.attained}
    command = Conclude(evaluation_id, body.decision, body.reason, attained, body.note)
    return await request.execute(case_id, command)


@router.get("/mine")
async def read_mine(request: EvaluationDesk) -> list[WorkView]:
    """Return what waits for me, my department or my organisation, the most urgent first."""
    found = await request.query(
        store.mine, role=request.actor.role, whose=whose(request.actor), now=request.now
    )
    if request.actor.role == "coordinator":
        await request.require_fresh_consents({row["case_id"] for row in found})
    return [WorkView(**row) for row in found]


@router.get("/outcomes")
async def read_outcomes(request: EvaluationDesk, moment: Moment = "end") -> OutcomesView:
    """Return how children have moved since the start, by the end or after; small groups are not told."""
    request.require_role("leader")
    tallies = await request.query(store.tallies, moment=moment, now=request.now)
    dimensions = [DimensionView.model_validate(one, from_attributes=True) for one in told(tallies)]
    return OutcomesView(moment=moment, least_shown=LEAST_SHOWN, dimensions=dimensions)


def whose(actor: Actor) -> UUID:
    """Return whose list an actor reads; raise `NotAllowed` where there is none."""
    lists = {
        "caseworker": actor.department_id,
        "coordinator": actor.organisation_id,
        "guardian": actor.id,
        "young_person": actor.id,
    }
    found = lists.get(actor.role)
    if found is None:
        raise NotAllowed
    return found
