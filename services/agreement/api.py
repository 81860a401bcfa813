"""The cooperation agreement over HTTP: the meeting, the terms, the names, how it goes, and the end."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from contracts.event import Code
from services.agreement import projections
from services.agreement.domain.commands import (
    ActionInput,
    Attendee,
    EndAgreement,
    GoalInput,
    HoldMeeting,
    Propose,
    ReportProgress,
    Sign,
)
from services.agreement.domain.states import Party, Payer, Trend
from services.agreement.views import CaseView, Figures, WorkView, case_for, figures_view
from services.kernel.decider.access import purpose_of
from services.kernel.decider.projection_rows import local_days
from services.kernel.decider.work_items import owner_of
from services.kernel.http.fields import Day, GivenId
from services.kernel.http.requests import CommandResult, RequestContext, request_context
from services.kernel.ids import new_id

router = APIRouter(prefix="/agreement", tags=["agreement"])
AgreementRequest = Annotated[RequestContext, Depends(request_context("agreement"))]

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
Answering = Literal["municipality", "organisation", "family"]
EveryDays = Annotated[int, Field(strict=True, ge=1, le=366)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class MeetingBody(_Body):
    """The start-up meeting: when it was held, and who came."""

    agreement_id: GivenId
    held_on: Day
    attended: Annotated[list[Attendee], Field(min_length=1, max_length=6)]


class ActionBody(_Body):
    """One thing that is done for a goal, and who answers for it."""

    text: Words
    responsible: Answering


class GoalBody(_Body):
    """One goal: the purpose of the model that it serves, who answers for it, and what is done."""

    purpose: Code
    responsible: Answering
    text: Words
    actions: Annotated[list[ActionBody], Field(max_length=20)]


class WantsBody(_Body):
    """Why each party wants to take part."""

    municipality: Words
    organisation: Words
    family: Words


class ProposalBody(_Body):
    """One version of an agreement; without a rhythm the model's is meant."""

    agreement_id: GivenId
    goals: Annotated[list[GoalBody], Field(max_length=20)]
    wants: WantsBody
    starts_on: Day
    ends_on: Day
    cost: Code
    payer: Payer
    cost_text: Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000)] = ""
    update_every_days: EveryDays | None = None
    evaluate_every_days: EveryDays | None = None


class SignBody(_Body):
    """One party's name under one version."""

    agreement_id: GivenId
    version: Annotated[int, Field(strict=True, ge=1)]
    party: Party


class ProgressBody(_Body):
    """The organisation's word on how it goes."""

    agreement_id: GivenId
    trend: Trend
    text: Words


class EndBody(_Body):
    """The end, for a reason of the model."""

    agreement_id: GivenId
    reason: Code


@router.get("/cases/{case_id}")
async def read_case(case_id: UUID, request: AgreementRequest) -> CaseView:
    """Return a case's agreements with their words; the access is logged."""
    seen = await request.read_private(
        case_id, what=("agreement", "goals", "progress"), purpose=purpose_of(request.actor)
    )
    return case_for(case_id, seen, request.actor, request.now)


@router.post("/cases/{case_id}/meeting")
async def hold_meeting(case_id: UUID, body: MeetingBody, request: AgreementRequest) -> CommandResult:
    """Put on record that the start-up meeting took place, and who came."""
    return await request.execute(case_id, HoldMeeting(body.agreement_id, body.held_on, tuple(body.attended)))


@router.post("/cases/{case_id}/proposal")
async def propose(case_id: UUID, body: ProposalBody, request: AgreementRequest) -> CommandResult:
    """Lay a version ready to be signed by all parties."""
    goals = tuple(
        GoalInput(
            goal_id=new_id(),
            purpose=goal.purpose,
            responsible=goal.responsible,
            text=goal.text,
            actions=tuple(ActionInput(action.text, action.responsible) for action in goal.actions),
        )
        for goal in body.goals
    )
    command = Propose(
        agreement_id=body.agreement_id,
        goals=goals,
        starts_on=body.starts_on,
        ends_on=body.ends_on,
        cost=body.cost,
        payer=body.payer,
        cost_text=body.cost_text,
        wants=body.wants.model_dump(),
        update_every_days=body.update_every_days,
        evaluate_every_days=body.evaluate_every_days,
    )
    return await request.execute(case_id, command)


@router.post("/cases/{case_id}/sign")
async def sign(case_id: UUID, body: SignBody, request: AgreementRequest) -> CommandResult:
    """Sign one version for one party; the last name brings it into force."""
    return await request.execute(case_id, Sign(body.agreement_id, body.version, body.party))


@router.post("/cases/{case_id}/progress")
async def report_progress(case_id: UUID, body: ProgressBody, request: AgreementRequest) -> CommandResult:
    """Say how it goes."""
    return await request.execute(case_id, ReportProgress(body.agreement_id, body.trend, body.text))


@router.post("/cases/{case_id}/end")
async def end(case_id: UUID, body: EndBody, request: AgreementRequest) -> CommandResult:
    """Stop the collaboration about the case; no version need be named, an exit is always open."""
    return await request.execute(case_id, EndAgreement(body.agreement_id, body.reason), any_version=True)


@router.get("/mine")
async def read_mine(request: AgreementRequest) -> list[WorkView]:
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


@router.get("/figures")
async def read_figures(request: AgreementRequest) -> Figures:
    """Return the municipality's agreements in numbers; small groups are not shown."""
    request.require_role("leader")
    return figures_view(**await request.query(projections.figures))
