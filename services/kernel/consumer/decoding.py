"""Tell what a batch of records holds: events to apply, ticks, and what cannot be read."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct
from pydantic import ValidationError

from contracts.envelope import dataschema_of, source_of
from contracts.event import SERVICES, Event, Ticked, service_of, topic_of
from services.kernel import metrics
from services.kernel.decider.decision import Actor
from services.kernel.decider.service import EventMetadata, Service
from services.kernel.errors import Poison
from services.kernel.ids import as_uuid
from services.kernel.kafka.cloudevents import Record, decode_headers, is_canonical, metadata_of, parse_uuid
from services.kernel.streams.envelopes import IncomingEvent

BodyType: TypeAlias = type[Event]
_TICK: Final = ".ticked."
_KINDS_KNOWN: Final = 1_000
_TENANT_LENGTH: Final = 4
_LONGEST_NUMBER: Final = 18
_UNHEARD: Final = EventMetadata(datetime.min, "", "", "", "")  # noqa: DTZ901  nobody reads it
_HEARD: Final = Actor()
"""An event is not a person's request: who did it stands in its attributes, and was checked there."""


class EventBinding(Struct, frozen=True):
    """What a topic's events of one type are to a service; without a body they only count."""

    name: str
    source: str
    body: BodyType | None
    poison: str
    is_watermark: bool
    schema: bytes


class DecodedBatch(Struct):
    """What records hold: events in their order, the latest tick a partition, and what cannot be read and why.

    `ends` tells where each partition goes on, `seconds` how long it took to read.
    """

    events: list[IncomingEvent] = msgspec.field(default_factory=list)
    watermarks: dict[int, datetime] = msgspec.field(default_factory=dict)
    unreadable: list[tuple[Record, str]] = msgspec.field(default_factory=list)
    ends: dict[tuple[str, int], int] = msgspec.field(default_factory=dict)
    count: int = 0
    seconds: float = 0.0

    @property
    def topic(self) -> str:
        """A topic of it, for FastStream's log."""
        return next(iter(self.ends))[0]

    def split_by_parity(self) -> Sequence["DecodedBatch"]:
        """Return what lies in even partitions and what in odd ones, where both hold something.

        The events of a stream lie in one partition, so each half keeps their order.
        """
        both = DecodedBatch(), DecodedBatch()
        for event in self.events:
            both[event.partition & 1].events.append(event)
        for partition, at in self.watermarks.items():
            both[partition & 1].watermarks[partition] = at
        for record, reason in self.unreadable:
            both[record.partition & 1].unreadable.append((record, reason))
        for half in both:
            half.count = len(half.events) + len(half.watermarks) + len(half.unreadable)
        return [half for half in both if half.count]


class EventDecoder:
    """Reads records for one service."""

    def __init__(self, service: Service) -> None:
        """Know the types that the service reads, and the topics it listens to."""
        self._name = service.name
        self._bodies = {event.type: event for event in service.subscribes_to}
        self._all = service.subscribes_to_all
        self.sources = frozenset(SERVICES) if service.subscribes_to_all else service.sources
        self._owner = {topic_of(source): source for source in self.sources}
        self._bindings: dict[tuple[str, bytes, bytes], EventBinding] = {}

    def read(self, records: Sequence[Record], batch: DecodedBatch | None = None) -> DecodedBatch:
        """Return what records hold, added to what a batch holds already."""
        batch = batch or DecodedBatch()
        for record in records:
            try:
                found, value = decode_headers(record)
                kind = self._binding(record.topic, found["ce_source"], found["ce_type"])
                if kind.is_watermark:
                    _watermark(record, kind, value, batch.watermarks)
                else:
                    batch.events.append(self._event(record, found, value, kind))
            except Poison as poison:
                batch.unreadable.append((record, poison.detail))
            except (KeyError, ValueError):
                batch.unreadable.append((record, "header"))
            except Exception as bug:  # noqa: BLE001  what was fetched with it would be passed over in silence
                metrics.BUGS.labels(self._name, type(bug).__name__).inc()
                batch.unreadable.append((record, "bug"))
            batch.ends[record.topic, record.partition] = record.offset + 1
        batch.count += len(records)
        return batch

    def _binding(self, topic: str, source: bytes, event_type: bytes) -> EventBinding:
        """Return what a type is to us; raise `Poison` where a topic carries what its owner does not send."""
        kind = self._bindings.get((topic, source, event_type))
        if kind is None:
            kind = self._look_up(topic, source.decode(), event_type.decode())
            if len(self._bindings) < _KINDS_KNOWN:
                self._bindings[topic, source, event_type] = kind
        return kind

    def _look_up(self, topic: str, source: str, event_type: str) -> EventBinding:
        if "\0" in event_type:
            raise Poison("header")
        owner = self._owner.get(topic, "")
        if not owner or source != source_of(owner) or service_of(event_type) != owner:
            raise Poison("source")
        body = self._bodies.get(event_type)
        name = event_type.rpartition(".v")[0]
        newer = body is None and any(known.rpartition(".v")[0] == name for known in self._bodies)
        schema = dataschema_of(event_type).encode()
        return EventBinding(event_type, owner, body, "version" if newer else "", _TICK in event_type, schema)

    def _event(
        self, record: Record, found: dict[str, bytes], value: bytes, kind: EventBinding
    ) -> IncomingEvent:
        subject, sequence, tenant = found["ce_subject"], found["ce_sequence"], found["ce_tenant"]
        seq = int(sequence) if sequence.isdigit() and len(sequence) <= _LONGEST_NUMBER else 0
        if record.key != subject or found["ce_specversion"] != b"1.0" or seq < 1:
            raise Poison("header")
        if len(tenant) != _TENANT_LENGTH or not tenant.isdigit():
            raise Poison("header")
        spelt_id = parse_uuid(found["ce_id"])
        body, poison = None, kind.poison
        if kind.body is not None:
            try:
                body = kind.body.__pydantic_validator__.validate_json(value)
            except ValidationError:
                poison = "body"
        # A type that only counts needs its place alone.
        whole = kind.body is not None or self._all
        meta = metadata_of(found) if whole else _UNHEARD
        stream_id = as_uuid(subject.decode())
        plain = whole and is_canonical(found, kind.schema, str(stream_id), meta.time)
        return IncomingEvent(
            stream_id,
            tenant.decode(),
            body,
            _HEARD,
            meta.time,
            spelt_id,
            meta.correlation,
            meta.traceparent,
            event_id=as_uuid(spelt_id),
            source=kind.source,
            seq=seq,
            type=kind.name,
            metadata=meta,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            value=value,
            record=None if plain else record,
            poison=poison,
            timeline=_timeline(found["ce_timeline"]) if "ce_timeline" in found else 0,
        )


def _timeline(spelt: bytes) -> int:
    if not spelt.isdigit() or len(spelt) > _LONGEST_NUMBER:
        raise Poison("header")
    return int(spelt)


def _watermark(record: Record, kind: EventBinding, value: bytes, ticks: dict[int, datetime]) -> None:
    if kind.body is None or not issubclass(kind.body, Ticked):
        return
    try:
        ticks[record.partition] = kind.body.model_validate_json(value).at
    except ValidationError:
        raise Poison("body") from None
