"""Envelopes: the inputs of a batch, each a command, a fired timer or a consumed event for one stream."""

from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from contracts.event import Event
from services.kernel.decider.decision import Actor
from services.kernel.decider.service import EventMetadata
from services.kernel.ids import StreamKey
from services.kernel.kafka.cloudevents import Record, message_of, record_of


class Envelope(Struct, gc=False):
    """Input for one stream: a command, or a timer that fired."""

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

    @property
    def stream_key(self) -> StreamKey:
        """The identity of the stream."""
        return self.tenant, self.stream_id


class AppendEvent(Struct, frozen=True):
    """Envelope body that appends one event to a stream and leaves its state: an access, a denial."""

    event: Event


class IncomingEvent(Envelope, kw_only=True, gc=False):
    """A consumed event; `causation_id` is its own id as text. Without a body it only advances the mark.

    Its Kafka record is kept only where it cannot be rebuilt from the other fields: it is many objects.
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


def rebuild_record(event: IncomingEvent) -> Record:
    """Return the Kafka record that an event came in, rebuilt from its fields."""
    position = event.topic, event.partition, event.offset
    message = message_of(
        event.causation_id,
        str(event.stream_id),
        event.seq,
        event.tenant,
        event.type,
        event.metadata,
        event.value,
    )
    return record_of(position, message.key, message)
