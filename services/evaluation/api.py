"""Evaluation over HTTP: voices, conclusions, measurements, and what they come to in numbers."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from contracts.event import Code
from services.evaluation import projections
from services.evaluation.domain.commands import Conclude, HearVoice, TakeMeasurement
from services.evaluation.domain.states import Answer, Attainment, Choice, Moment, Voice
from services.evaluation.views.case import CaseView, WorkView, case_for
from services.evaluation.views.outcomes import OutcomesView, outcomes_view
from services.kernel.decider.access import purpose_of
from services.kernel.decider.projection_rows import local_days
from services.kernel.decider.work_items import owner_of
from services.kernel.http.fields import GivenId
from services.kernel.http.requests import CommandResult, RequestContext, request_context
from services.kernel.ids import new_id

router = APIRouter(prefix="/evaluation", tags=["evaluation"])
EvaluationRequest = Annotated[RequestContext, Depends(request_context("evaluation"))]

Words = Annotated[str, StringConstraints(strip_whitespace=True, max_length=4000)]
Score = Annotated[float, Field(strict=True, allow_inf_nan=False)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class MeasurementBody(_Body):
    """The child's scores by dimension of the model; what was not answered is left out."""

    agreement_id: GivenId
    moment: Moment
    scores: Annotated[dict[Code, Score], Field(min_length=1, max_length=50)]


class VoiceBody(_Body):
    """One voice: what it said, or that it would rather not."""

    voice: Voice
    answer: Answer
    text: Words = ""


class GoalBody(_Body):
    """How far one goal was reached."""

    goal_id: GivenId
    attainment: Attainment


class ConclusionBody(_Body):
    """How it goes on, why, and how far each goal was reached; all parties read the note."""

    decision: Choice
    reason: Code
    attained: Annotated[list[GoalBody], Field(max_length=20)]
    note: Words = ""


@router.get("/cases/{case_id}")
async def read_case(case_id: UUID, request: EvaluationRequest) -> CaseView:
    """Return a case's evaluations and measurements; the access is logged."""
    seen = await request.read_private(
        case_id, what=("evaluations", "voices", "measurements"), purpose=purpose_of(request.actor)
    )
    return case_for(case_id, seen, request.actor, request.now)


@router.post("/cases/{case_id}/measurements", status_code=201)
async def take_measurement(case_id: UUID, body: MeasurementBody, request: EvaluationRequest) -> CommandResult:
    """Put the child's scores on record; taken again at the same moment, the later scores count."""
    measurement_id = new_id()
    command = TakeMeasurement(body.agreement_id, measurement_id, body.moment, body.scores)
    return await request.execute(case_id, command, created=measurement_id)


@router.post("/cases/{case_id}/evaluations/{evaluation_id}/voices")
async def hear_voice(
    case_id: UUID, evaluation_id: UUID, body: VoiceBody, request: EvaluationRequest
) -> CommandResult:
    """Put one voice on record; nobody's words depend on what others have said meanwhile."""
    return await request.execute(
        case_id, HearVoice(evaluation_id, body.voice, body.answer, body.text), any_version=True
    )


@router.post("/cases/{case_id}/evaluations/{evaluation_id}/conclude")
async def conclude(
    case_id: UUID, evaluation_id: UUID, body: ConclusionBody, request: EvaluationRequest
) -> CommandResult:
    """Decide how it goes on, once the voices are heard."""
    attained = {goal.goal_id: goal.attainment for goal in body.attained}
    command = Conclude(evaluation_id, body.decision, body.reason, attained, body.note)
    return await request.execute(case_id, command)


@router.get("/mine")
async def read_mine(request: EvaluationRequest) -> list[WorkView]:
    """Return what waits for me, my department or my organisation, the most urgent first."""
    found = await request.query(
        projections.work_list,
        role=request.actor.role,
        owner_id=owner_of(request.actor),
        now=request.now,
        days=local_days(request.models, request.now),
    )
    if request.actor.role == "coordinator":
        await request.require_fresh_consents({row["case_id"] for row in found})
    return [WorkView(**row) for row in found]


@router.get("/outcomes")
async def read_outcomes(request: EvaluationRequest, moment: Moment = "end") -> OutcomesView:
    """Return how children have moved since the start, by the end or after; small groups are not shown."""
    request.require_role("leader")
    tallies = await request.query(
        projections.tallies, moment=moment, now=request.now, days=local_days(request.models, request.now)
    )
    return outcomes_view(moment, tallies)
