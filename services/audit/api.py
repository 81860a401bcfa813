"""HTTP API of the audit service: the trail of a case, a search of it, and its figures."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from contracts.event import municipality_stream
from services.audit import projections
from services.audit.domain.access import EVENTS, FAMILY, LOOKS
from services.audit.views import (
    EPOCH,
    CaseEventView,
    FiguresView,
    LookView,
    TrailView,
    WaitingView,
    figures_view,
    position_of,
    trail_view,
    waiting_view,
)
from services.kernel.decider.access import purpose_of
from services.kernel.errors import NotFound
from services.kernel.http.fields import Moment
from services.kernel.http.requests import RequestContext, request_context

router: Final = APIRouter(prefix="/audit", tags=["audit"])

AuditRequest = Annotated[RequestContext, Depends(request_context("audit"))]

_MOST_LOOKS: Final = 500

Cursor = Annotated[
    str | None, Query(pattern=r"^[0-9]{1,17}_[0-9a-f]{32}$", description="the page before's `next`")
]
Limit = Annotated[int, Query(ge=1, le=500)]


@router.get("/cases/{case_id}")
async def read_trail(
    case_id: UUID, request: AuditRequest, cursor: Cursor = None, limit: Limit = 100
) -> TrailView:
    """Show what happened in a case and who read it; the reading is itself put on record."""
    request.require_role("auditor")
    after = position_of(cursor) or projections.BEGINNING
    rows = await request.query(projections.trail_of, case_id=case_id, after=after, limit=limit)
    waiting = [one for one in await _waiting(request, cursor) if case_id in {one.case_id, one.stream_id}]
    if not rows and not waiting and cursor is None:
        raise NotFound
    await request.record_access(case_id, what=("trail",), purpose="audit")
    return trail_view(rows, limit=limit, waiting=waiting)


@router.get("/cases/{case_id}/looks")
async def read_looks(case_id: UUID, request: AuditRequest) -> list[LookView]:
    """Show a family who has looked at its case, by day, role and purpose; the reading is put on record."""
    request.require_role(*sorted(FAMILY))
    if not await request.query(projections.is_of_family, case_id=case_id, person_id=request.actor.id):
        raise NotFound
    await request.record_access(case_id, what=(LOOKS,), purpose=purpose_of(request.actor))
    rows = await request.query(
        projections.looks_of, case_id=case_id, person_id=request.actor.id, limit=_MOST_LOOKS
    )
    return [LookView.model_validate(row) for row in rows]


@router.get("/operations/cases/{case_id}")
async def read_events(case_id: UUID, request: AuditRequest, limit: Limit = 200) -> list[CaseEventView]:
    """List a case's events with their traces, without who acted; the reading is put on record."""
    rows = await request.query(projections.events_of, case_id=case_id, limit=limit)
    if not rows:
        raise NotFound
    await request.record_access(case_id, what=(EVENTS,), purpose="operations")
    return [CaseEventView.model_validate(row) for row in rows]


@router.get("/search")
async def search(
    request: AuditRequest,
    actor: UUID | None = None,
    type: Annotated[str | None, Query(pattern=r"^[a-z]+\.[a-z_]+\.v[1-9][0-9]*$")] = None,  # noqa: A002
    since: Annotated[Moment | None, Query(alias="from")] = None,
    until: Annotated[Moment | None, Query(alias="to")] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> TrailView:
    """Find what a person did, or what happened of a type or in a time; the search is put on record.

    Where there are several criteria all of them hold; `from` is included, `to` is not.
    """
    request.require_role("auditor")
    criteria = {"by_actor": actor, "by_type": type, "by_time": since or until}
    what = ("search", *(name for name, value in criteria.items() if value is not None))
    await request.record_access(municipality_stream(request.actor.tenant), what=what, purpose="audit")
    after = position_of(cursor) or (since or EPOCH, projections.BEGINNING[1])
    rows = await request.query(
        projections.search, actor=actor, type=type, after=after, until=until or projections.END, limit=limit
    )
    waiting = [
        one
        for one in await _waiting(request, cursor)
        if actor in {None, one.actor}
        and type in {None, one.type}
        and (one.at is None or (since or EPOCH) <= one.at < (until or projections.END))
    ]
    return trail_view(rows, limit=limit, waiting=waiting)


@router.get("/figures")
async def read_figures(request: AuditRequest) -> FiguresView:
    """Count the municipality's entries by source, and check that no stream has a hole and nothing waits."""
    request.require_role("operator", "auditor")
    return figures_view(
        await request.query(projections.figures),
        await request.query(projections.parked),
        await request.query(projections.since),
    )


async def _waiting(request: RequestContext, cursor: str | None) -> list[WaitingView]:
    """Return what has arrived of the municipality and is not entered; the first page of results has it."""
    return [] if cursor else [waiting_view(row) for row in await request.query(projections.waiting)]
