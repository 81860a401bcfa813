"""Stream handler: put each input of a batch to the service's rules, in order, without any I/O."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from contracts.event import Event, Looked
from contracts.model import CollaborationModel
from services.kernel import metrics
from services.kernel.decider.decision import SYSTEM, Actor, Context, Decision
from services.kernel.decider.service import EventMetadata, RecordedEvent, Service
from services.kernel.errors import (
    AccessNotRecorded,
    NotFound,
    Poison,
    PreconditionRequired,
    Refused,
    VersionConflict,
)
from services.kernel.ids import PersonKey, StreamKey, new_id
from services.kernel.kafka.cloudevents import OutgoingEvent
from services.kernel.privacy.encryption import DataKey
from services.kernel.streams.envelopes import AppendEvent, Envelope, IncomingEvent, rebuild_record
from services.kernel.streams.parked import park
from services.kernel.streams.store import WriteSet
from services.kernel.streams.stream import LoadedStream, ParkedEvent, new_stream

_SYSTEM: Final = Actor(SYSTEM, "system")
_SYSTEM_ID_TEXT: Final = str(SYSTEM)
_NOTHING: Final[Mapping[Any, Any]] = {}
_ID_LENGTH: Final = 36
_UNSET_TIME: Final = datetime.min.replace(tzinfo=UTC)
_NO_MARK: Final = (0, "")


class BatchResult(Struct):
    """Result of a batch so far: the streams it has changed, and the events it has parked.

    `write_set` holds the changes that are serialized already, `serialized` the ids of their streams,
    `streams` the others. `fresh` names the streams whose consents are fresh; None if no input needs that.
    `related` keeps what `related_streams` returned for an input and the state that it was called with.
    `repeated` says of each duplicate its tenant, topic and partition.
    `cache_generation` is that of the cache when the streams were read, `new_keys` are data keys made here.
    """

    streams: dict[StreamKey, LoadedStream]
    write_set: WriteSet = msgspec.field(default_factory=WriteSet)
    serialized: set[StreamKey] = msgspec.field(default_factory=set)
    private: Mapping[StreamKey, Mapping[str, Any]] = {}
    fresh: set[StreamKey] | None = None
    related: dict[StreamKey, tuple[Any, Any, tuple[UUID, ...]]] = {}
    outgoing: list[tuple[int, OutgoingEvent]] = []
    applied: int = 0
    duplicates: int = 0
    repeated: list[tuple[str, str, int]] = []
    refused: int = 0
    parked: list[ParkedEvent] = []
    recorded_at: datetime = _UNSET_TIME
    cache_generation: int = 0
    new_keys: dict[PersonKey, DataKey] = {}


class StreamAlreadySerialized(Exception):
    """An input needs a stream whose changes are serialized already."""


class StreamHandler:
    """Applies one input after the other to the streams of a batch, by the rules of one service."""

    def __init__(
        self, service: Service, models: Mapping[str, CollaborationModel], clock: Callable[[], datetime]
    ) -> None:
        """Bind the rules to the models that they may read, and to the clock that dates their events."""
        self._service = service
        self._models = models
        self._clock = clock
        self._records_consumed = service.subscribes_to_all

    def handle_command(self, envelope: Envelope, result: BatchResult) -> None:
        """Decide a command or a timer; a refusal of its rule ends the batch."""
        stream = _loaded(envelope, result)
        if isinstance(envelope.body, AppendEvent):
            self._append(stream, envelope, envelope.body.event, result)
            return
        if not is_systems_own(envelope):
            self.require_authorized(envelope, result)
            if stream.version and not envelope.any_version and envelope.expected_version != stream.version:
                raise _version_refusal(stream, envelope)
        decision = self._service.decide(stream.state, envelope.body, self._context(stream, envelope, result))
        if decision != Decision(stream.state):
            self._apply(stream, envelope, envelope.actor, decision, result)

    def require_authorized(self, envelope: Envelope, result: BatchResult) -> LoadedStream:
        """Return the stream of a command or a read that the actor may give; raise `NotFound`.

        One answer for a stream that is not there and for one that is not theirs. It rests on the stream's own
        state and on the streams that the input itself names, and on nothing that is read because of a state,
        so that both take the same statements too.
        """
        if not self.is_authorized(envelope, result):
            raise NotFound
        return _loaded(envelope, result)

    def is_authorized(self, envelope: Envelope, result: BatchResult) -> bool:
        """Return whether the actor may give a command or read."""
        stream = _loaded(envelope, result)
        context = self._context(stream, envelope, result, authorizing=True)
        return self._service.authorize(stream.state, envelope.body, context)

    def handle_event(self, event: IncomingEvent, result: BatchResult) -> None:
        """Apply an event once and in order, or park it."""
        stream = _loaded(event, result)
        last, mark = stream.marks.get(event.source, _NO_MARK)
        if event.seq <= last or len(mark) > _ID_LENGTH:
            match _classify(event, last, mark):
                case "divergence":
                    _park(stream, event, result, "divergence")
                    return
                case "duplicate":
                    result.duplicates += 1
                    result.repeated.append((event.tenant, event.topic, event.partition))
                    return
        reason = _parking_reason(stream, event, last) or self._decide_event(stream, event, result)
        if reason:
            _park(stream, event, result, reason)
            return
        stream.marks[event.source] = (event.seq, mark_of(event.causation_id, event.timeline))
        stream.changed = True
        result.applied += 1

    def _decide_event(self, stream: LoadedStream, event: IncomingEvent, result: BatchResult) -> str:
        """Decide an event; return the reason why it must be parked, or nothing."""
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
            stream.consumed += (
                RecordedEvent(
                    event.event_id, event.source, event.seq, event.type, event.body, event.metadata
                ),
            )
        return ""

    def _apply(
        self, stream: LoadedStream, envelope: Envelope, actor: Actor, decision: Decision, result: BatchResult
    ) -> None:
        self._change(stream, envelope, actor, decision, result)
        for stream_id, further in decision.others.items():
            key = envelope.tenant, stream_id
            other = result.streams.get(key)
            if other is None:
                if key in result.serialized:
                    raise StreamAlreadySerialized
                other = result.streams[key] = new_stream(stream_id, envelope.tenant)
            self._change(other, envelope, actor, further, result)

    def _change(
        self, stream: LoadedStream, envelope: Envelope, actor: Actor, decision: Decision, result: BatchResult
    ) -> None:
        """Change a stream by a decision of the rules."""
        stream.state = decision.state
        stream.changed = True
        if decision.events:
            stream.new_events += self._record(stream, envelope, actor, decision.events, result)
        if decision.timers:
            stream.timers += decision.timers
        if decision.private_values:
            stream.private_values += decision.private_values
        if decision.effects:
            stream.effects += decision.effects

    def _record(
        self,
        stream: LoadedStream,
        envelope: Envelope,
        actor: Actor,
        events: Sequence[Event],
        result: BatchResult,
    ) -> tuple[RecordedEvent, ...]:
        """Give events their ids, their sequence numbers and their metadata."""
        if result.recorded_at is _UNSET_TIME:
            result.recorded_at = self._clock()
        metadata = EventMetadata(
            result.recorded_at,
            _SYSTEM_ID_TEXT if actor is _SYSTEM else str(actor.id),
            actor.role,
            envelope.correlation_id,
            envelope.causation_id,
            envelope.traceparent,
        )
        first, source = stream.seq + 1, self._service.name
        stream.seq += len(events)
        return tuple(
            [
                RecordedEvent(new_id(), source, seq, event.type, event, metadata)
                for seq, event in enumerate(events, first)
            ]
        )

    def _append(self, stream: LoadedStream, envelope: Envelope, event: Event, result: BatchResult) -> None:
        """Append an event; raise `AccessNotRecorded` for a reading whose stream waits for an operator."""
        if stream.halted and isinstance(event, Looked):
            raise AccessNotRecorded
        self._change(stream, envelope, envelope.actor, Decision(stream.state, (event,)), result)

    def _context(
        self, stream: LoadedStream, envelope: Envelope, result: BatchResult, *, authorizing: bool = False
    ) -> Context:
        key = envelope.stream_key
        return Context(
            envelope.now,
            stream.stream_id,
            envelope.tenant,
            envelope.actor,
            self._models,
            self._named_states(envelope, result)
            if authorizing
            else self._related_states(stream, envelope, result),
            result.private.get(key, _NOTHING),
            result.fresh is None or (key in result.fresh and not stream.halted),
        )

    def _related_states(
        self, stream: LoadedStream, envelope: Envelope, result: BatchResult
    ) -> Mapping[UUID, Any]:
        """Return the states of the further streams that an input needs; another tenant's are absent."""
        related_streams = self._service.related_streams
        if related_streams is None:
            return _NOTHING
        body, state, ids = result.related.get(envelope.stream_key, (None, None, ()))
        if body is not envelope.body or state is not stream.state:  # an earlier input has changed the stream
            ids = related_streams(stream.state, envelope.body)
        if not ids:
            return _NOTHING
        return _states(ids, envelope, result)

    def _named_states(self, envelope: Envelope, result: BatchResult) -> Mapping[UUID, Any]:
        """Return the states of the further streams that an input names by itself."""
        related_streams = self._service.related_streams
        return (
            _NOTHING
            if related_streams is None
            else _states(related_streams(None, envelope.body), envelope, result)
        )


def _states(ids: Sequence[UUID], envelope: Envelope, result: BatchResult) -> Mapping[UUID, Any]:
    found = ((other, result.streams.get((envelope.tenant, other))) for other in ids)
    return {other: stream.state for other, stream in found if stream is not None}


def is_systems_own(envelope: Envelope) -> bool:
    """Return whether an input is the system's own, such as a timer, which needs no right."""
    return envelope.actor.role == _SYSTEM.role


def _loaded(envelope: Envelope, result: BatchResult) -> LoadedStream:
    key = envelope.stream_key
    stream = result.streams.get(key)
    if stream is None:
        stream = result.streams[key] = new_stream(envelope.stream_id, envelope.tenant)
    return stream


def mark_of(event_id: str, timeline: int) -> str:
    """Return the id that a mark keeps of an event: after a fork of its source with its timeline."""
    return f"{event_id} {timeline}" if timeline else event_id


def _classify(event: IncomingEvent, last_seq: int, mark: str) -> str:
    """Return whether an event is a `duplicate` or a `divergence`; nothing where it is new.

    An event of a later timeline under a sequence that was applied already is another event; one of an earlier
    timeline is no longer in the log of its source.
    """
    last_id, _, timeline_text = mark.partition(" ")
    timeline = int(timeline_text or 0)
    if event.timeline < timeline:
        return "duplicate"
    if event.seq > last_seq:
        return ""
    other = event.seq == last_seq and last_id not in ("", event.causation_id)
    return "divergence" if other or event.timeline > timeline else "duplicate"


def _parking_reason(stream: LoadedStream, event: IncomingEvent, last_seq: int) -> str:
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
    # Also where it is halted already: it may have been released since, which the version guard shows.
    stream.halted = stream.changed = True


def _version_refusal(stream: LoadedStream, envelope: Envelope) -> PreconditionRequired | VersionConflict:
    refusal = PreconditionRequired if envelope.expected_version is None else VersionConflict
    return refusal(f"it stands at {stream.version}")
