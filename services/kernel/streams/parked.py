"""Parked events (dead letters of one stream): each with its reason and all that redelivery needs."""

import base64
import re
from typing import Any, Final
from uuid import UUID

import msgspec
from aiokafka import ConsumerRecord

from contracts.registry import EVENTS
from services.kernel.errors import Poison
from services.kernel.kafka.cloudevents import Record, decode_headers
from services.kernel.streams.stream import ParkedEvent

FOREIGN_STREAM: Final = "tenant"
"""Reason of an event whose stream id is reserved for another municipality: it is the sender's fault alone."""

HELD: Final = "held"
"""Reason of an event that was not tried: too many events of its municipality in its partition have failed."""

WAITING_ORDER: Final = ("gap", "behind")
"""Reasons that resolve by themselves when the missing events arrive."""

_VERSION: Final = re.compile(r"\.v[1-9][0-9]{0,5}$")
_CODE: Final = re.compile(rb"[0-9]{4}")
_NAMES: Final = frozenset(_VERSION.sub("", event_type) for event_type in EVENTS)


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
) -> ParkedEvent:
    """Return the parked event of a record; one that could not be decoded blocks no stream.

    Without a tenant it counts to the one that the record's header names.
    """
    return ParkedEvent(
        tenant=_tenant_of(record) if tenant is None else tenant,
        stream_id=stream_id,
        source=source,
        seq=seq,
        event_id=event_id,
        type=type,
        topic=record.topic,
        kafka_partition=record.partition,
        kafka_offset=record.offset,
        key=record.key,
        headers=_as_text(record),
        value=record.value,
        reason=reason,
        detail="",
    )


def _tenant_of(record: Record) -> str:
    """Return the municipality's code in a record's header; an empty text where it holds none."""
    try:
        found: dict[str, bytes | None] = dict(decode_headers(record)[0])
    except Poison:
        found = dict(record.headers)
    code = found.get("ce_tenant") or b""
    return code.decode() if _CODE.fullmatch(code) else ""


def _as_text(record: Record) -> str:
    pairs = [
        (name, None if value is None else base64.b64encode(value).decode()) for name, value in record.headers
    ]
    return msgspec.json.encode(pairs).decode()


def unpark(row: Any) -> Record:
    """Return the Kafka record of a parked event."""
    headers = msgspec.json.decode(row["headers"], type=list[tuple[str, str | None]])
    key, value = row["key"], row["value"]
    return ConsumerRecord(
        topic=row["topic"],
        partition=row["kafka_partition"],
        offset=row["kafka_offset"],
        timestamp=0,
        timestamp_type=0,
        key=key,
        value=value,
        checksum=None,
        serialized_key_size=len(key or b""),
        serialized_value_size=len(value or b""),
        headers=tuple((name, None if text is None else base64.b64decode(text)) for name, text in headers),
    )


def visible_type(event_type: str | None) -> str | None:
    """Return a type as an operator may see it: a registered one, in any version, or `unknown`.

    A type is free text of its sender, and a faulty sender may have written anything there.
    """
    return event_type if event_type is None or _name_of(event_type) in _NAMES else "unknown"


def event_name(event_type: str | None) -> str | None:
    """Return the name of a registered type without its service and version: `seen` of `referral.seen.v1`."""
    name = _name_of(event_type or "")
    return name.partition(".")[2] if name in _NAMES else None


def source_of_topic(topic: str) -> str:
    """Return the service that owns a topic."""
    return topic.split(".")[1]


def _name_of(event_type: str) -> str:
    name, count = _VERSION.subn("", event_type)
    return name if count else ""
