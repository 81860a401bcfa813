"""HTTP API of the audit service: the trail of a case, a search of it, and its figures."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from contracts.event import municipality_stream
from services.audit import projections
from services.audit.views import EPOCH, FiguresView, TrailView, figures_view, position_of, trail_view
from services.kernel.http.fields import Moment
from services.kernel.http.requests import RequestContext, request_context

router: Final = APIRouter(prefix="/audit", tags=["audit"])

AuditRequest = Annotated[RequestContext, Depends(request_context("audit"))]

Cursor = Annotated[
    str | None, Query(pattern=r"^[0-9]{1,17}_[0-9a-f]{32}$", description="the page before's `next`")
]
Limit = Annotated[int, Query(ge=1, le=500)]


@router.get("/cases/{case_id}")
async def read_trail(
    case_id: UUID, request: AuditRequest, cursor: Cursor = None, limit: Limit = 100
) -> TrailView:
    """Show what happened in a case and who read it; the reading is itself put on record."""
    await request.read_private(case_id, what=("trail",), purpose="audit")
    after = position_of(cursor) or projections.BEGINNING
    rows = await request.query(projections.trail_of, case_id=case_id, after=after, limit=limit)
    return trail_view(rows, limit=limit)


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
    criteria = {"by_actor": actor, "by_type": type, "by_time": since or until}
    what = ("search", *(name for name, value in criteria.items() if value is not None))
    await request.read_private(municipality_stream(request.actor.tenant), what=what, purpose="audit")
    after = position_of(cursor) or (since or EPOCH, projections.BEGINNING[1])
    rows = await request.query(
        projections.search, actor=actor, type=type, after=after, until=until or projections.END, limit=limit
    )
    return trail_view(rows, limit=limit)


@router.get("/figures")
async def read_figures(request: AuditRequest) -> FiguresView:
    """Count the municipality's entries by source, and check that no stream has a hole."""
    request.require_role("operator", "auditor")
    return figures_view(await request.query(projections.figures))
