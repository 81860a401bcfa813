"""Events as Kafka messages: CloudEvents 1.0 binary mode out, binary and structured mode in."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, TypeAlias
from uuid import UUID

import msgspec
from aiokafka import ConsumerRecord
from msgspec import Struct

from contracts.envelope import CONTENT_TYPE, dataschema_of, source_of
from contracts.event import service_of
from services.kernel.errors import Poison
from services.kernel.ids import as_uuid

LARGEST: Final = 64 * 1024
"""What every reader of the NL GOV profile for CloudEvents must be able to take, in bytes."""

_SOURCE: Final = "urn:samspil:"
_STRUCTURED: Final = b"application/cloudevents"
Headers = list[tuple[str, bytes]]
Record: TypeAlias = ConsumerRecord[bytes, bytes]


class Meta(Struct, frozen=True, array_like=True):
    """What the log keeps of an event beside its place, type and body."""

    time: datetime
    actor: UUID
    role: str
    correlation: UUID
    causation: UUID
    traceparent: str = ""


class Envelope(Struct, frozen=True):
    """The attributes of one message that was received."""

    event_id: UUID
    source: str
    type: str
    stream_id: UUID
    seq: int
    tenant: str
    meta: Meta
    data: bytes


class Message(Struct, frozen=True):
    """One message on its way out."""

    type: str
    key: bytes
    value: bytes
    headers: Headers


@lru_cache(maxsize=512)
def _fixed(event_type: str) -> Headers:
    return [
        ("content-type", CONTENT_TYPE.encode()),
        ("ce_specversion", b"1.0"),
        ("ce_type", event_type.encode()),
        ("ce_source", source_of(service_of(event_type)).encode()),
        ("ce_dataschema", dataschema_of(event_type).encode()),
    ]


def message_of(
    event_id: str, stream_id: str, seq: int, tenant: str, event_type: str, meta: Meta, data: bytes
) -> Message:
    """Return the message of an event, the same to the byte however often it is made."""
    key = stream_id.encode()
    headers = [
        *_fixed(event_type),
        ("ce_id", event_id.encode()),
        ("ce_subject", key),
        ("ce_partitionkey", key),
        ("ce_time", meta.time.isoformat().encode()),
        ("ce_tenant", tenant.encode()),
        ("ce_correlationid", str(meta.correlation).encode()),
        ("ce_causationid", str(meta.causation).encode()),
        ("ce_actor", str(meta.actor).encode()),
        ("ce_role", meta.role.encode()),
    ]
    if seq:
        headers.append(("ce_sequence", b"%010d" % seq))
    if meta.traceparent:
        trace = meta.traceparent.encode()
        headers.append(("ce_traceparent", trace))
        headers.append(("traceparent", trace))
    return Message(event_type, key, data, headers)


def read(record: Record) -> Envelope:
    """Return the envelope of a record; raise `Poison` with the reason where it is none of ours."""
    headers: Sequence[tuple[str, bytes]] = record.headers
    if record.value is None or len(record.value) > LARGEST:
        raise Poison("oversized" if record.value else "body")
    found = dict(headers)
    if len(found) != len(headers):
        raise Poison("header")
    if found.get("content-type", b"").startswith(_STRUCTURED):
        found, value = _unfold(record.value)
    else:
        value = record.value
    try:
        return _envelope(found, value, record.key)
    except (KeyError, ValueError, msgspec.ValidationError):
        raise Poison("header") from None


def _envelope(found: dict[str, bytes], value: bytes, key: bytes | None) -> Envelope:
    subject = found["ce_subject"]
    source = found["ce_source"].decode()
    event_type = found["ce_type"].decode()
    if key != subject or found["ce_specversion"] != b"1.0" or not source.startswith(_SOURCE):
        raise Poison("header")
    sequence = found.get("ce_sequence", b"0")
    if not sequence.isdigit():
        raise Poison("header")
    meta = Meta(
        datetime.fromisoformat(found["ce_time"].decode()),
        as_uuid(found["ce_actor"].decode()),
        found["ce_role"].decode(),
        as_uuid(found["ce_correlationid"].decode()),
        as_uuid(found["ce_causationid"].decode()),
        found["ce_traceparent"].decode() if "ce_traceparent" in found else "",
    )
    if meta.time.tzinfo is None:
        raise Poison("header")
    return Envelope(
        as_uuid(found["ce_id"].decode()),
        source[len(_SOURCE) :],
        event_type,
        as_uuid(subject.decode()),
        int(sequence),
        found["ce_tenant"].decode(),
        meta,
        value,
    )


def _unfold(value: bytes) -> tuple[dict[str, bytes], bytes]:
    """Return headers and body of a structured-mode event (CloudEvents JSON format)."""
    try:
        whole: dict[str, Any] = msgspec.json.decode(value, type=dict[str, Any])
        data = msgspec.json.encode(whole.pop("data"))
    except (msgspec.DecodeError, msgspec.ValidationError, KeyError):
        raise Poison("body") from None
    return {f"ce_{name}": str(given).encode() for name, given in whole.items()}, data
