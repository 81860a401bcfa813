"""Event decoding: from Kafka records to events, watermarks, and records that cannot be read."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct
from pydantic import ValidationError

from contracts.envelope import dataschema_of, source_of
from contracts.event import SERVICES, AccessChanged, Event, Ticked, municipality_of, service_of, topic_of
from services.kernel import metrics
from services.kernel.decider.decision import Actor
from services.kernel.decider.revocations import Revocation, revocation_of
from services.kernel.decider.service import EventMetadata, Service
from services.kernel.errors import Poison
from services.kernel.ids import as_uuid
from services.kernel.kafka.cloudevents import (
    Record,
    decode_headers,
    is_canonical,
    metadata_of,
    parse_uuid,
)
from services.kernel.streams.envelopes import IncomingEvent
from services.kernel.streams.parked import FOREIGN_STREAM

BodyType: TypeAlias = type[Event]
_WATERMARK: Final = ".ticked."
_MOST_BINDINGS: Final = 1_000
_TENANT_LENGTH: Final = 4
_LONGEST_NUMBER: Final = 18
_NO_METADATA: Final = EventMetadata(datetime.min, "", "", "", "")  # noqa: DTZ901  it is not read
_ACTOR: Final = Actor()
"""An event is no person's request: its actor stands in its attributes, and was authorized by its source."""


class EventBinding(Struct, frozen=True):
    """How a service reads the events of one type; without a body they only advance the high-water mark."""

    name: str
    source: str
    body: BodyType | None
    poison: str
    is_watermark: bool
    schema: bytes
    access: type[AccessChanged] | None = None


class DecodedBatch(Struct):
    """Decoded records: events in order, the latest watermark of each partition, and unreadable records.

    `revocations` are what access events among them say, each with its partition. `ends` are the offsets
    behind the last record of each partition, `seconds` the time that decoding took.
    """

    events: list[IncomingEvent] = msgspec.field(default_factory=list)
    watermarks: dict[int, datetime] = msgspec.field(default_factory=dict)
    unreadable: list[tuple[Record, str]] = msgspec.field(default_factory=list)
    revocations: list[tuple[int, Revocation]] = msgspec.field(default_factory=list)
    ends: dict[tuple[str, int], int] = msgspec.field(default_factory=dict)
    count: int = 0
    seconds: float = 0.0

    def split_by_parity(self) -> Sequence["DecodedBatch"]:
        """Return the records of even and of odd partitions apart, where both have some.

        The events of a stream lie in one partition, so each half keeps their order.
        """
        both = DecodedBatch(), DecodedBatch()
        for event in self.events:
            both[event.partition & 1].events.append(event)
        for partition, at in self.watermarks.items():
            both[partition & 1].watermarks[partition] = at
        for record, reason in self.unreadable:
            both[record.partition & 1].unreadable.append((record, reason))
        for partition, revocation in self.revocations:
            both[partition & 1].revocations.append((partition, revocation))
        for half in both:
            half.count = len(half.events) + len(half.watermarks) + len(half.unreadable)
        return [half for half in both if half.count]


class EventDecoder:
    """Decodes records for one service."""

    def __init__(self, service: Service) -> None:
        """Bind the event types and topics that the service subscribes to."""
        self._name = service.name
        self._bodies = {event.type: event for event in service.subscribes_to}
        self._access = {event.type: event for event in service.access_events}
        self._all = service.subscribes_to_all
        self.sources = frozenset(SERVICES) if service.subscribes_to_all else service.sources
        self._owner = {topic_of(source): source for source in self.sources}
        self._bindings: dict[tuple[str, bytes, bytes], EventBinding] = {}

    def read(self, records: Sequence[Record], batch: DecodedBatch | None = None) -> DecodedBatch:
        """Return records decoded, added to a batch."""
        batch = batch or DecodedBatch()
        for record in records:
            try:
                headers, value = decode_headers(record)
                binding = self._binding(record.topic, headers["ce_source"], headers["ce_type"])
                if binding.is_watermark:
                    _watermark(record, binding, value, batch.watermarks)
                else:
                    event = self._event(record, headers, value, binding)
                    if binding.access is not None:
                        revocation = _revocation(binding.access, event, headers)
                        batch.revocations.append((record.partition, revocation))
                    batch.events.append(event)
            except Poison as poison:
                batch.unreadable.append((record, poison.detail))
            except (KeyError, ValueError):
                batch.unreadable.append((record, "header"))
            except Exception as bug:  # noqa: BLE001  else the records fetched with it would be skipped
                metrics.BUGS.labels(self._name, type(bug).__name__).inc()
                batch.unreadable.append((record, "bug"))
            batch.ends[record.topic, record.partition] = record.offset + 1
        batch.count += len(records)
        return batch

    def _binding(self, topic: str, source: bytes, event_type: bytes) -> EventBinding:
        """Return the binding of a type; raise `Poison` where a topic carries what its owner does not send."""
        binding = self._bindings.get((topic, source, event_type))
        if binding is None:
            binding = self._binding_of(topic, source.decode(), event_type.decode())
            if len(self._bindings) < _MOST_BINDINGS:
                self._bindings[topic, source, event_type] = binding
        return binding

    def _binding_of(self, topic: str, source: str, event_type: str) -> EventBinding:
        if "\0" in event_type:
            raise Poison("header")
        owner = self._owner.get(topic, "")
        if not owner or source != source_of(owner) or service_of(event_type) != owner:
            raise Poison("source")
        body = self._bodies.get(event_type)
        name = event_type.rpartition(".v")[0]
        newer = body is None and any(other.rpartition(".v")[0] == name for other in self._bodies)
        schema = dataschema_of(event_type).encode()
        return EventBinding(
            event_type,
            owner,
            body,
            "version" if newer else "",
            _WATERMARK in event_type,
            schema,
            self._access.get(event_type),
        )

    def _event(
        self, record: Record, headers: dict[str, bytes], value: bytes, binding: EventBinding
    ) -> IncomingEvent:
        subject, sequence, tenant = headers["ce_subject"], headers["ce_sequence"], headers["ce_tenant"]
        seq = int(sequence) if sequence.isdigit() and len(sequence) <= _LONGEST_NUMBER else 0
        if record.key != subject or headers["ce_specversion"] != b"1.0" or seq < 1:
            raise Poison("header")
        if len(tenant) != _TENANT_LENGTH or not tenant.isdigit():
            raise Poison("header")
        event_id = parse_uuid(headers["ce_id"])
        body, poison = None, binding.poison
        if binding.body is not None:
            try:
                body = binding.body.__pydantic_validator__.validate_json(value)
            except ValidationError:
                poison = "body"
        # An event without a body needs its sequence alone.
        complete = binding.body is not None or self._all
        meta = metadata_of(headers) if complete else _NO_METADATA
        stream_id = as_uuid(subject.decode())
        if municipality_of(stream_id) not in {None, tenant.decode()}:
            raise Poison(FOREIGN_STREAM)
        canonical = complete and is_canonical(headers, binding.schema, str(stream_id), meta.time)
        return IncomingEvent(
            stream_id,
            tenant.decode(),
            body,
            _ACTOR,
            meta.time,
            event_id,
            meta.correlation,
            meta.traceparent,
            event_id=as_uuid(event_id),
            source=binding.source,
            seq=seq,
            type=binding.name,
            metadata=meta,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            value=value,
            record=None if canonical else record,
            poison=poison,
            timeline=_timeline(headers["ce_timeline"]) if "ce_timeline" in headers else 0,
        )


def _revocation(access: type[AccessChanged], event: IncomingEvent, headers: dict[str, bytes]) -> Revocation:
    """Return what an access event says, which counts whether or not its stream waits for an earlier event."""
    try:
        body = access.model_validate_json(event.value)
        return revocation_of(event.tenant, body, metadata_of(headers).time)
    except ValueError:
        raise Poison("body") from None


def _timeline(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > _LONGEST_NUMBER:
        raise Poison("header")
    return int(digits)


def _watermark(record: Record, binding: EventBinding, value: bytes, watermarks: dict[int, datetime]) -> None:
    if binding.body is None or not issubclass(binding.body, Ticked):
        return
    try:
        watermarks[record.partition] = binding.body.model_validate_json(value).at
    except ValidationError:
        raise Poison("body") from None
