"""Set an event aside, with its reason and all that is needed to take it up again."""

import base64
from typing import Any, Final
from uuid import UUID

import msgspec
from aiokafka import ConsumerRecord

from services.kernel.messages import Record
from services.kernel.streams import Parked

WAITING: Final = ("gap", "behind")
"""Reasons that heal by themselves when the missing events arrive."""


def park(
    record: Record,
    reason: str,
    *,
    tenant: str | None = None,
    stream_id: UUID | None = None,
    source: str | None = None,
    seq: int | None = None,
    event_id: UUID | None = None,
    type: str | None = None,  # noqa: A002  the event's attribute
) -> Parked:
    """Return the row of an event that waits; one that could not be read blocks no stream."""
    return Parked(
        tenant=tenant,
        stream_id=stream_id,
        source=source,
        seq=seq,
        event_id=event_id,
        type=type,
        topic=record.topic,
        part=record.partition,
        place=record.offset,
        key=record.key,
        headers=_as_text(record),
        value=record.value,
        reason=reason,
        detail="",
    )


def _as_text(record: Record) -> str:
    pairs = [(name, base64.b64encode(value).decode()) for name, value in record.headers]
    return msgspec.json.encode(pairs).decode()


def unpark(row: Any) -> Record:
    """Return the record of an event that waited."""
    headers = msgspec.json.decode(row["headers"], type=list[tuple[str, str]])
    key, value = row["key"], row["value"]
    return ConsumerRecord(
        topic=row["topic"],
        partition=row["part"],
        offset=row["place"],
        timestamp=0,
        timestamp_type=0,
        key=key,
        value=value,
        checksum=None,
        serialized_key_size=len(key or b""),
        serialized_value_size=len(value or b""),
        headers=tuple((name, base64.b64decode(text)) for name, text in headers),
    )
