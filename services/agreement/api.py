"""The cooperation agreement over HTTP: the meeting, the terms, the names, how it goes, and the end."""

from datetime import date
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from contracts.event import Code
from services.agreement import store
from services.agreement.domain_access import seen_by
from services.agreement.domain_commands import (
    ActionSaid,
    Attendee,
    EndAgreement,
    GoalSaid,
    HoldMeeting,
    Propose,
    ReportProgress,
    Sign,
)
from services.agreement.domain_states import Case, Party, Payer, Trend
from services.agreement.domain_views import AgreementView, view_of
from services.kernel.decider.decision import Actor
from services.kernel.errors import NotAllowed
from services.kernel.http.fields import Day
from services.kernel.http.requests import CommandResult, RequestContext, request_context
from services.kernel.ids import new_id

router = APIRouter(prefix="/agreement", tags=["agreement"])
AgreementDesk = Annotated[RequestContext, Depends(request_context("agreement"))]

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
Answering = Literal["municipality", "organisation", "family"]
EveryDays = Annotated[int, Field(strict=True, ge=1, le=366)]

_PURPOSE: Final = {
    "caseworker": "casework",
    "coordinator": "follow_up",
    "guardian": "own_child",
    "young_person": "own_case",
}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class MeetingBody(_Body):
    """The start-up meeting: when it was held, and who came."""

    agreement_id: UUID
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

    agreement_id: UUID
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

    agreement_id: UUID
    version: Annotated[int, Field(strict=True, ge=1)]
    party: Party


class ProgressBody(_Body):
    """The organisation's word on how it goes."""

    agreement_id: UUID
    trend: Trend
    text: Words


class EndBody(_Body):
    """The end, for a reason of the model."""

    agreement_id: UUID
    reason: Code


class CaseView(BaseModel):
    """The agreements of a case that the reader may see."""

    case_id: UUID
    version: int
    agreements: list[AgreementView]


class WorkView(BaseModel):
    """One thing that waits for the reader."""

    case_id: UUID
    agreement_id: UUID
    what: str
    due_on: date | None


class PurposeFigures(BaseModel):
    """The goals of one purpose; how far they were reached is left out where few cases stand behind it."""

    purpose: str
    goals: int
    reached: int | None
    partly: int | None
    not_reached: int | None


class Figures(BaseModel):
    """A municipality's agreements in numbers; days are calendar days from the acceptance."""

    statuses: dict[str, int]
    reasons: dict[str, int]
    purposes: list[PurposeFigures]
    median_days_to_meeting: float | None
    median_days_to_in_force: float | None
    updates: int
    updates_on_time: int
    updates_missed: int


@router.get("/cases/{case_id}")
async def read_case(case_id: UUID, request: AgreementDesk) -> CaseView:
    """Return a case's agreements with their words; the look is logged."""
    seen = await request.read_private(
        case_id, what=("agreement", "goals", "progress"), purpose=_PURPOSE.get(request.actor.role, "other")
    )
    case: Case = seen.state
    return CaseView(
        case_id=case_id,
        version=seen.version,
        agreements=[
            view_of(case, agreement_id, agreement, seen.private)
            for agreement_id, agreement in seen_by(case, request.actor, request.now).items()
        ],
    )


@router.post("/cases/{case_id}/meeting")
async def hold_meeting(case_id: UUID, body: MeetingBody, request: AgreementDesk) -> CommandResult:
    """Put on record that the start-up meeting took place, and who came."""
    return await request.execute(case_id, HoldMeeting(body.agreement_id, body.held_on, tuple(body.attended)))


@router.post("/cases/{case_id}/proposal")
async def propose(case_id: UUID, body: ProposalBody, request: AgreementDesk) -> CommandResult:
    """Lay a version ready to be signed by all parties."""
    goals = tuple(
        GoalSaid(
            goal_id=new_id(),
            purpose=goal.purpose,
            responsible=goal.responsible,
            text=goal.text,
            actions=tuple(ActionSaid(action.text, action.responsible) for action in goal.actions),
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
async def sign(case_id: UUID, body: SignBody, request: AgreementDesk) -> CommandResult:
    """Sign one version for one party; the last name brings it into force."""
    return await request.execute(case_id, Sign(body.agreement_id, body.version, body.party))


@router.post("/cases/{case_id}/progress")
async def report_progress(case_id: UUID, body: ProgressBody, request: AgreementDesk) -> CommandResult:
    """Say how it goes."""
    return await request.execute(case_id, ReportProgress(body.agreement_id, body.trend, body.text))


@router.post("/cases/{case_id}/end")
async def end(case_id: UUID, body: EndBody, request: AgreementDesk) -> CommandResult:
    """Stop the collaboration about the case; no version need be named, an exit is always open."""
    return await request.execute(case_id, EndAgreement(body.agreement_id, body.reason), any_version=True)


@router.get("/mine")
async def read_mine(request: AgreementDesk) -> list[WorkView]:
    """Return what waits for me, my department or my organisation, the most urgent first."""
    found = await request.query(
        store.mine, role=request.actor.role, whose=whose(request.actor), now=request.now
    )
    if request.actor.role == "coordinator":
        await request.require_fresh_consents({row["case_id"] for row in found})
    return [WorkView(**row) for row in found]


@router.get("/figures")
async def read_figures(request: AgreementDesk) -> Figures:
    """Return the municipality's agreements in numbers."""
    request.require_role("leader")
    return Figures(**await request.query(store.figures))


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
