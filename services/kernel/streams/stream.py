"""Stream records: a stream as it is stored, as it is loaded, and what is saved beside it."""

from typing import Any
from uuid import UUID

from msgspec import Struct

from services.kernel.decider.decision import Effect, PrivateValue, Timer
from services.kernel.decider.service import RecordedEvent
from services.kernel.streams.columns import NULL_MARK

Marks = dict[str, tuple[int, str]]
"""High-water marks: by source the last sequence that was applied, and the id of its event."""


Seals = dict[str, int]
"""By person and name of each private value the version of the stream at which it was written."""


class LoadedStream(Struct, gc=False):
    """A stream as it was loaded, with the changes that a batch has made to it so far."""

    stream_id: UUID
    id_text: str
    tenant: str
    version: int
    seq: int
    halted: bool
    marks: Marks
    state: Any
    before: Any = None
    changed: bool = False
    new_events: tuple[RecordedEvent, ...] = ()
    consumed: tuple[RecordedEvent, ...] = ()
    timers: tuple[Timer, ...] = ()
    private_values: tuple[PrivateValue, ...] = ()
    effects: tuple[Effect, ...] = ()
    seals: Seals = {}


class StoredStream(Struct, frozen=True, gc=False):
    """A row of `streams`, with marks, state and seals as JSON text."""

    stream_id: UUID
    id_text: str
    tenant: str
    version: int
    seq: int
    marks: str
    kind: str
    state: str
    halted: bool = False
    seals: str = NULL_MARK


class ParkedEvent(Struct, frozen=True):
    """A row of `parked_events`: an event that waits, with all that redelivery needs."""

    tenant: str
    stream_id: UUID | None
    source: str | None
    seq: int | None
    event_id: UUID | None
    type: str | None
    topic: str
    kafka_partition: int
    kafka_offset: int
    key: bytes | None
    headers: str
    value: bytes | None
    reason: str
    detail: str


class IdempotencyRecord(Struct, frozen=True):
    """A command's idempotency key, and the answer that a repetition of the command gets."""

    tenant: str
    actor: UUID
    key: bytes
    request_digest: bytes
    answer: str


def new_stream(stream_id: UUID, tenant: str) -> LoadedStream:
    """Return a stream that does not exist yet."""
    return LoadedStream(stream_id, str(stream_id), tenant, 0, 0, False, {}, None)  # noqa: FBT003  a new stream is not halted
