"""Hold a batch of inputs against the streams as they were read; nothing here waits or writes."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from contracts.event import Event
from contracts.model import CollaborationModel
from services.kernel import metrics
from services.kernel.decider.decision import SYSTEM, Actor, Context, Decision
from services.kernel.decider.service import RecordedEvent, Service, nothing_else
from services.kernel.errors import (
    NotAllowed,
    NotFound,
    Poison,
    PreconditionRequired,
    Refused,
    VersionConflict,
)
from services.kernel.ids import new_id
from services.kernel.kafka.cloudevents import EventMetadata, OutgoingEvent, Record, message_of, record_of
from services.kernel.streams.parked import park
from services.kernel.streams.store import LoadedStream, ParkedEvent, WriteSet, new_stream

_SYSTEM: Final = Actor(SYSTEM, "system")
_SYSTEM_ID_TEXT: Final = str(SYSTEM)
_NOTHING: Final[Mapping[Any, Any]] = {}
_ID_LENGTH: Final = 36
_UNSET_TIME: Final = datetime.min.replace(tzinfo=UTC)


class Envelope(Struct, gc=False):
    """One input for one stream: a command, or a timer that fired."""

    stream_id: UUID
    tenant: str
    body: Any
    actor: Actor
    now: datetime
    causation_id: str
    correlation_id: str
    traceparent: str = ""
    expected_version: int | None = None
    any_version: bool = True


class AppendEvent(Struct, frozen=True):
    """Put one event into a stream without changing what it holds: a look, or a refusal."""

    event: Event


class IncomingEvent(Envelope, kw_only=True, gc=False):
    """An event that was heard; `cause` is its id as it is spelt. Without a body it only counts.

    Its record is kept only where it cannot be made again from the rest: it is many objects.
    """

    event_id: UUID
    source: str
    seq: int
    type: str
    metadata: EventMetadata
    topic: str = ""
    partition: int = 0
    offset: int = 0
    value: bytes = b""
    record: Record | None = None
    poison: str = ""
    is_replay: bool = False
    timeline: int = 0


class ProjectionWrites:
    """Takes down what a service writes into its own tables, so that no transaction waits for its reckoning.

    What one statement writes for different streams is written at once. Where there is no more than one, it is
    a part of the statement that saves the streams, which then is its own transaction.
    """

    def __init__(self) -> None:
        """Begin with nothing to write."""
        self.writes: list[tuple[str, list[list[Any]]]] = []
        self._position = 0

    def start_chunk(self) -> None:
        """Begin with further streams: their statements are kept in their own order."""
        self._position = 0

    async def execute(self, statement: str, *columns: Sequence[Any]) -> None:
        """Take down a statement and its columns, each with one value a row."""
        for at in range(self._position, len(self.writes)):
            known, before = self.writes[at]
            if known == statement:
                for column, more in zip(before, columns, strict=True):
                    column.extend(more)
                self._position = at + 1
                return
        self.writes.insert(self._position, (statement, [list(column) for column in columns]))
        self._position += 1


class BatchResult(Struct):
    """What a batch has made of its streams, and what was set aside.

    `page` and `planned` hold what of it is written down, `done` names those streams, and `rows` are the
    others. `began` tells which memory of streams it was made from, `new_keys` are those of persons met first.
    """

    streams: dict[UUID, LoadedStream]
    write_set: WriteSet = msgspec.field(default_factory=WriteSet)
    projection_writes: ProjectionWrites = msgspec.field(default_factory=ProjectionWrites)
    serialized: set[UUID] = msgspec.field(default_factory=set)
    private: Mapping[UUID, Mapping[str, Any]] = {}
    consents_fresh: Callable[[LoadedStream], bool] = bool
    outgoing: list[tuple[int, OutgoingEvent]] = []
    applied: int = 0
    duplicates: int = 0
    refused: int = 0
    parked: list[ParkedEvent] = []
    recorded_at: datetime = _UNSET_TIME
    cache_generation: int = 0
    new_keys: dict[UUID, AESGCM] = {}


class StreamAlreadySerialized(Exception):
    """An input needs a stream that was written down already."""


class StreamHandler:
    """Takes inputs one after the other into an outcome, by the rules of one service."""

    def __init__(
        self, service: Service, models: Mapping[str, CollaborationModel], clock: Callable[[], datetime]
    ) -> None:
        """Bind the rules to the models that they may read, and to the clock that dates their events."""
        self._service = service
        self._models = models
        self._clock = clock
        self._single_stream = service.related_streams is nothing_else
        self._records_consumed = service.subscribes_to_all

    def handle_command(self, envelope: Envelope, result: BatchResult) -> None:
        """Decide a command or a timer; what its rule raises ends the batch."""
        row = _loaded(envelope, result)
        if row.tenant != envelope.tenant:
            raise NotFound
        if isinstance(envelope.body, AppendEvent):
            row.apply(
                Decision(row.state),
                self._record(row, envelope, envelope.actor, (envelope.body.event,), result),
            )
            return
        given = self._context(row, envelope, result)
        if envelope.actor.role != _SYSTEM.role:
            if not self._service.authorize(row.state, envelope.body, given):
                raise NotAllowed
            _check_version(row, envelope)
        decision = self._service.decide(row.state, envelope.body, given)
        if decision != Decision(row.state):
            self._apply(row, envelope, envelope.actor, decision, result)

    def authorize_read(self, envelope: Envelope, result: BatchResult) -> LoadedStream:
        """Return the stream that somebody wants to look at; raise `Missing` or `NotAllowed`."""
        row = result.streams.get(envelope.stream_id)
        if row is None or row.tenant != envelope.tenant or row.state is None:
            raise NotFound
        if not self._service.authorize(row.state, envelope.body, self._context(row, envelope, result)):
            raise NotAllowed
        return row

    def handle_event(self, event: IncomingEvent, result: BatchResult) -> None:
        """Decide an event once and in order, or set it aside."""
        row = _loaded(event, result)
        last, marked = row.marks.get(event.source, (0, ""))
        if event.seq <= last or len(marked) > _ID_LENGTH:
            known = _classify(event, last, marked)
            if known == "divergence":
                _park(row, event, result, known)
                return
            if known:
                result.duplicates += 1
                return
        reason = _parking_reason(row, event, last) or self._decide_event(row, event, result)
        if reason:
            _park(row, event, result, reason)
            return
        row.marks[event.source] = (event.seq, mark_of(event.causation_id, event.timeline))
        row.changed = True
        result.applied += 1

    def _decide_event(self, stream: LoadedStream, event: IncomingEvent, result: BatchResult) -> str:
        """Decide an event; return why it must be set aside, or nothing."""
        if event.body is not None:
            try:
                decision = self._service.decide(
                    stream.state, event.body, self._context(stream, event, result)
                )
            except Refused as refusal:
                metrics.REFUSED.labels(self._service.name, refusal.code()).inc()
                result.refused += 1
            except Poison as poison:
                return poison.detail
            except Exception as bug:  # noqa: BLE001  one event that breaks a rule must not stop the others
                metrics.BUGS.labels(self._service.name, type(bug).__name__).inc()
                return "bug"
            else:
                self._apply(stream, event, _SYSTEM, decision, result)
        if self._records_consumed:
            stream.record_consumed(
                RecordedEvent(event.event_id, event.source, event.seq, event.type, event.body, event.metadata)
            )
        return ""

    def _apply(
        self, stream: LoadedStream, envelope: Envelope, actor: Actor, decision: Decision, result: BatchResult
    ) -> None:
        stream.apply(decision, self._record(stream, envelope, actor, decision.events, result))
        for stream_id, other in decision.others.items():
            beside = result.streams.get(stream_id)
            if beside is None:
                if stream_id in result.serialized:
                    raise StreamAlreadySerialized
                beside = result.streams[stream_id] = new_stream(stream_id, envelope.tenant)
            beside.apply(other, self._record(beside, envelope, actor, other.events, result))

    def _record(
        self,
        stream: LoadedStream,
        envelope: Envelope,
        actor: Actor,
        events: Sequence[Event],
        result: BatchResult,
    ) -> Sequence[RecordedEvent]:
        if not events:
            return ()
        if result.recorded_at is _UNSET_TIME:
            result.recorded_at = self._clock()
        who = _SYSTEM_ID_TEXT if actor is _SYSTEM else str(actor.id)
        meta = EventMetadata(
            result.recorded_at,
            who,
            actor.role,
            envelope.correlation_id,
            envelope.causation_id,
            envelope.traceparent,
        )
        seq, name = stream.seq, self._service.name
        stream.seq += len(events)
        return [
            RecordedEvent(new_id(), name, at, event.type, event, meta)
            for at, event in enumerate(events, seq + 1)
        ]

    def _context(self, stream: LoadedStream, envelope: Envelope, result: BatchResult) -> Context:
        others: Mapping[UUID, Any] = _NOTHING
        wanted = () if self._single_stream else self._service.related_streams(stream.state, envelope.body)
        if wanted:
            rows = result.streams
            others = {
                other: rows[other].state
                for other in wanted
                if other in rows and rows[other].tenant == envelope.tenant
            }
        return Context(
            envelope.now,
            stream.stream_id,
            envelope.tenant,
            envelope.actor,
            self._models,
            others,
            result.private.get(stream.stream_id, _NOTHING),
            result.consents_fresh(stream),
        )


def _loaded(envelope: Envelope, result: BatchResult) -> LoadedStream:
    row = result.streams.get(envelope.stream_id)
    if row is None:
        row = result.streams[envelope.stream_id] = new_stream(envelope.stream_id, envelope.tenant)
    return row


def mark_of(event_id: str, timeline: int) -> str:
    """Return how a mark names an event: by its id and, after a fork of its source, by its history."""
    return f"{event_id} {timeline}" if timeline else event_id


def _classify(event: IncomingEvent, last_seq: int, mark: str) -> str:
    """Return whether an event is a `duplicate` or a `divergence`; nothing where it is new.

    What a later history tells under a number that was taken before is another event, whatever its number;
    what comes late from an earlier one its source tells no more.
    """
    last_id, _, spelt = mark.partition(" ")
    history = int(spelt or 0)
    if event.timeline < history:
        return "duplicate"
    if event.seq > last_seq:
        return ""
    other = event.seq == last_seq and last_id not in ("", event.causation_id)
    return "divergence" if other or event.timeline > history else "duplicate"


def _parking_reason(stream: LoadedStream, event: IncomingEvent, last_seq: int) -> str:
    if stream.tenant != event.tenant:
        return "tenant"
    if stream.halted and not event.is_replay:
        return "behind"
    if event.seq != last_seq + 1:
        return "gap"
    return event.poison


def _park(stream: LoadedStream, event: IncomingEvent, result: BatchResult, reason: str) -> None:
    result.parked.append(
        park(
            event.record or rebuild_record(event),
            reason,
            tenant=event.tenant,
            stream_id=event.stream_id,
            source=event.source,
            seq=event.seq,
            event_id=event.event_id,
            type=event.type,
        )
    )
    if reason != "tenant":
        # Also where it halts already: it may have been let go on since it was read, and the guard tells.
        stream.halted = stream.changed = True


def rebuild_record(event: IncomingEvent) -> Record:
    """Return the record that an event came in, made again from what it says."""
    key = str(event.stream_id)
    place = event.topic, event.partition, event.offset
    made = message_of(
        event.causation_id, key, event.seq, event.tenant, event.type, event.metadata, event.value
    )
    return record_of(place, made.key, made)


def _check_version(stream: LoadedStream, envelope: Envelope) -> None:
    if stream.version == 0 or envelope.any_version:
        return
    if envelope.expected_version is None:
        raise PreconditionRequired(f"it stands at {stream.version}")
    if envelope.expected_version != stream.version:
        raise VersionConflict(f"it stands at {stream.version}")
