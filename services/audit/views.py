"""Answers of the audit service over HTTP: models for JSON, and functions that make them."""

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field, TypeAdapter, ValidationError

from contracts.event import AccessRefused, Code, Event, Looked
from contracts.registry import EVENTS
from services.audit.projections import Position

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class EntryView(BaseModel):
    """One event of any service: who did what, when, in which case, and for a reading what it was for.

    Of a discarded event, `what` says what was wrong with it and `purpose` why it was discarded. An entry with
    `times` above 1 stands for so many refusals of one person.
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
    times: int
    correlation: UUID
    causation: UUID


class CaseEventView(BaseModel):
    """One event of a case as an operator sees it: what, when, and in which trace; not who."""

    event_id: UUID
    stream_id: UUID
    source: str
    seq: int
    type: str
    at: datetime
    correlation: UUID
    causation: UUID
    trace_id: str | None


class WaitingView(BaseModel):
    """One event that has arrived and is not among the entries yet, as far as it can be read, and why.

    An operator sees to it; nothing of it is lost.
    """

    source: str
    reason: str
    arrived_at: datetime
    case_id: UUID | None
    stream_id: UUID | None
    seq: int | None
    event_id: UUID | None
    type: str | None
    at: datetime | None
    actor: UUID | None
    role: str | None


class TrailView(BaseModel):
    """A page of the trail, oldest first; `next` leads to what happened later."""

    entries: list[EntryView]
    next: str | None
    waiting: Annotated[
        list[WaitingView],
        Field(description="What has arrived of this and could not be entered yet; on the first page only."),
    ]


class LookView(BaseModel):
    """How often somebody in a role has looked at a case on a day, and what for; no names."""

    day: date
    role: str
    purpose: str | None
    times: int


class SourceView(BaseModel):
    """What is kept of one service; a stream has a hole where its highest number is not its count."""

    source: str
    entries: int
    streams: int
    with_holes: int
    latest: Annotated[datetime, Field(description="When the last event happened that has arrived.")]


class ParkedView(BaseModel):
    """How many events of one service have arrived and could not be entered, by their reason."""

    source: Annotated[str | None, Field(description="Absent where an event does not say whose it is.")]
    reason: str
    events: int


class FiguresView(BaseModel):
    """The number of entries of each service, and whether none is missing."""

    sources: list[SourceView]
    parked: list[ParkedView]
    since: Annotated[datetime | None, Field(description="When the first entry happened that is kept.")]
    complete: Annotated[
        bool,
        Field(
            description="Whether everything that has arrived since then is among the entries: each stream"
            " from its first number without a hole, and nothing parked, be it this municipality's or of none"
            " that is known. What a service has committed and not sent yet has not arrived: `latest` says up"
            " to when each has."
        ),
    ]


def trail_view(
    rows: Sequence[Mapping[str, Any]], *, limit: int, waiting: Sequence[WaitingView] = ()
) -> TrailView:
    """Return a page of the trail, with a cursor where it is full."""
    entries = [EntryView.model_validate(row) for row in rows]
    following = _cursor(entries[-1]) if len(entries) == limit else None
    return TrailView(entries=entries, next=following, waiting=list(waiting))


def waiting_view(row: Mapping[str, Any]) -> WaitingView:
    """Return what can be read of a parked event; it may hold anything, for its sender was at fault."""
    headers = {
        name: base64.b64decode(text or "").decode(errors="replace")
        for name, text in json.loads(row["headers"])
    }
    kind = EVENTS.get(headers.get("ce_type", ""))
    stream_id = row["stream_id"] or _read(UUID, headers.get("ce_subject"))
    return WaitingView(
        source=row["source"],
        reason=row["reason"],
        arrived_at=row["parked_at"],
        case_id=_case_of(kind, row["value"]) or stream_id,
        stream_id=stream_id,
        seq=row["seq"],
        event_id=row["event_id"] or _read(UUID, headers.get("ce_id")),
        type=kind.type if kind else None,
        at=_read(AwareDatetime, headers.get("ce_time")),
        actor=_read(UUID, headers.get("ce_actor")),
        role=_read(Code, headers.get("ce_role")),
    )


def _case_of(kind: type[Event] | None, value: bytes | None) -> UUID | None:
    """Return the case that a reading or a refusal was about, where its body can be read."""
    if kind is None or not issubclass(kind, Looked | AccessRefused):
        return None
    try:
        return kind.model_validate_json(value or b"").case_id
    except ValidationError:
        return None


def _read(kind: Any, text: str | None) -> Any:
    try:
        return TypeAdapter(kind).validate_python(text)
    except ValidationError:
        return None


def figures_view(
    rows: Sequence[Mapping[str, Any]], parked: Sequence[Mapping[str, Any]], since: datetime | None
) -> FiguresView:
    """Return the counts by source; complete where no stream has a hole and nothing is parked."""
    sources = [SourceView(**row) for row in rows]
    return FiguresView(
        sources=sources,
        parked=[ParkedView(**row) for row in parked],
        since=since,
        complete=not parked and not any(source.with_holes for source in sources),
    )


def position_of(cursor: str | None) -> Position | None:
    """Return the time and the id that a cursor stands for; the next entries are later."""
    if cursor is None:
        return None
    ticks, _, event_id = cursor.partition("_")
    return EPOCH + int(ticks) * _MICROSECOND, UUID(event_id)


def _cursor(last: EntryView) -> str:
    return f"{(last.at - EPOCH) // _MICROSECOND}_{last.event_id.hex}"
