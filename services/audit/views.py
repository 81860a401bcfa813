"""Answers of the audit service over HTTP: models for JSON, and functions that make them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel

from services.audit.projections import Position

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class EntryView(BaseModel):
    """One event of any service: who did what, when, in which case, and for a reading what it was for.

    Of a discarded event, `what` says what was wrong with it and `purpose` why it was discarded.
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
    """The number of entries of each service, and whether none is missing."""

    sources: list[SourceView]
    complete: bool


def trail_view(rows: Sequence[Mapping[str, Any]], *, limit: int) -> TrailView:
    """Return a page of the trail, with a cursor where it is full."""
    entries = [EntryView.model_validate(row) for row in rows]
    return TrailView(entries=entries, next=_cursor(entries[-1]) if len(entries) == limit else None)


def figures_view(rows: Sequence[Mapping[str, Any]]) -> FiguresView:
    """Return the counts by source; complete where no stream has a hole."""
    sources = [SourceView(**row) for row in rows]
    return FiguresView(sources=sources, complete=not any(source.with_holes for source in sources))


def position_of(cursor: str | None) -> Position | None:
    """Return the time and the id that a cursor stands for; the next entries are later."""
    if cursor is None:
        return None
    ticks, _, event_id = cursor.partition("_")
    return EPOCH + int(ticks) * _MICROSECOND, UUID(event_id)


def _cursor(last: EntryView) -> str:
    return f"{(last.at - EPOCH) // _MICROSECOND}_{last.event_id.hex}"
