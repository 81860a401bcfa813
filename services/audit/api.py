"""The trail over HTTP: of a case, by search, and its figures."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from contracts.event import municipality_stream
from services.audit import store
from services.kernel.http.fields import Moment
from services.kernel.http.requests import RequestContext, request_context

router: Final = APIRouter(prefix="/audit", tags=["audit"])

AuditDesk = Annotated[RequestContext, Depends(request_context("audit"))]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TICK: Final = timedelta(microseconds=1)

Cursor = Annotated[
    str | None, Query(pattern=r"^[0-9]{1,17}_[0-9a-f]{32}$", description="the page before's `next`")
]
Limit = Annotated[int, Query(ge=1, le=500)]


class EntryView(BaseModel):
    """One event of any service: who did what, when, in which case, and for a look what it was for.

    Of an event that was given up, `what` says what was wrong with it and `purpose` why it was given up.
    """

    event_id: UUID
    case_id: UUID
    stream_id: UUID
    source: str
    seq: int
    type: str
    at: datetime
    actor: UUID
    role: str
    what: list[str]
    purpose: str | None
    slug: str | None
    correlation: UUID
    causation: UUID


class TrailView(BaseModel):
    """A page of the trail, oldest first; `next` leads to what happened later."""

    entries: list[EntryView]
    next: str | None


class SourceView(BaseModel):
    """What is kept of one service; a stream has a hole where its highest number is not its count."""

    source: str
    entries: int
    streams: int
    with_holes: int


class FiguresView(BaseModel):
    """How much is kept of each service, and whether nothing is missing."""

    sources: list[SourceView]
    complete: bool


@router.get("/cases/{case_id}")
async def read_trail(
    case_id: UUID, request: AuditDesk, cursor: Cursor = None, limit: Limit = 100
) -> TrailView:
    """Show what happened in a case and who looked at it; the reading is itself put on record."""
    await request.read_private(case_id, what=("trail",), purpose="audit")
    after = _place(cursor) or store.BEGINNING
    return _page(await request.query(store.trail_of, case_id=case_id, after=after, limit=limit), limit)


@router.get("/search")
async def search(
    request: AuditDesk,
    actor: UUID | None = None,
    type: Annotated[str | None, Query(pattern=r"^[a-z]+\.[a-z_]+\.v[1-9][0-9]*$")] = None,  # noqa: A002
    since: Annotated[Moment | None, Query(alias="from")] = None,
    until: Annotated[Moment | None, Query(alias="to")] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> TrailView:
    """Find what a person did, or what happened of a type or in a time; the search is put on record.

    Where several criteria are given all of them hold; `from` is included, `to` is not.
    """
    criteria = {"by_actor": actor, "by_type": type, "by_time": since or until}
    what = ("search", *(name for name, value in criteria.items() if value is not None))
    await request.read_private(municipality_stream(request.actor.tenant), what=what, purpose="audit")
    after = _place(cursor) or (since or _EPOCH, store.BEGINNING[1])
    rows = await request.query(
        store.search, actor=actor, type=type, after=after, until=until or store.END, limit=limit
    )
    return _page(rows, limit)


@router.get("/figures")
async def read_figures(request: AuditDesk) -> FiguresView:
    """Count the municipality's entries by source, and check that no stream has a hole."""
    request.require_role("operator", "auditor")
    sources = [SourceView(**row) for row in await request.query(store.figures)]
    return FiguresView(sources=sources, complete=not any(source.with_holes for source in sources))


def _page(rows: list[dict[str, object]], limit: int) -> TrailView:
    entries = [EntryView.model_validate(row) for row in rows]
    return TrailView(entries=entries, next=_cursor(entries[-1]) if len(entries) == limit else None)


def _cursor(last: EntryView) -> str:
    return f"{(last.at - _EPOCH) // _TICK}_{last.event_id.hex}"


def _place(cursor: str | None) -> store.Place | None:
    if cursor is None:
        return None
    ticks, _, event_id = cursor.partition("_")
    return _EPOCH + int(ticks) * _TICK, UUID(event_id)
