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
_UUID_LENGTH: Final = 36
_STRUCTURED: Final = b"application/cloudevents"
Headers = list[tuple[str, bytes]]
Record: TypeAlias = ConsumerRecord[bytes, bytes]


class Meta(Struct, frozen=True, array_like=True):
    """What the log keeps of an event beside its place, type and body; ids as they are spelt."""

    time: datetime
    actor: str
    role: str
    correlation: str
    causation: str
    traceparent: str = ""


class Envelope(Struct, frozen=True):
    """The attributes of one message that was received."""

    event_id: UUID
    source: str
    type: str
    stream_id: UUID
    spelt_id: str
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


@lru_cache(maxsize=64)
def _spelt_time(time: datetime) -> bytes:
    return time.isoformat().encode()


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
        ("ce_time", _spelt_time(meta.time)),
        ("ce_tenant", tenant.encode()),
        ("ce_correlationid", meta.correlation.encode()),
        ("ce_causationid", meta.causation.encode()),
        ("ce_actor", meta.actor.encode()),
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
        _time(found["ce_time"]),
        _spelt(found["ce_actor"]),
        found["ce_role"].decode(),
        _spelt(found["ce_correlationid"]),
        _spelt(found["ce_causationid"]),
        found["ce_traceparent"].decode() if "ce_traceparent" in found else "",
    )
    spelt_id = _spelt(found["ce_id"])
    return Envelope(
        as_uuid(spelt_id),
        source[len(_SOURCE) :],
        event_type,
        as_uuid(subject.decode()),
        spelt_id,
        int(sequence),
        found["ce_tenant"].decode(),
        meta,
        value,
    )


@lru_cache(maxsize=64)
def _time(spelt: bytes) -> datetime:
    """Return the time that a header tells; the events of one batch share few of them."""
    time = datetime.fromisoformat(spelt.decode())
    if time.tzinfo is None:
        raise Poison("header")
    return time


def _spelt(uuid: bytes) -> str:
    if len(uuid) != _UUID_LENGTH:
        raise Poison("header")
    return uuid.decode("ascii")


def _unfold(value: bytes) -> tuple[dict[str, bytes], bytes]:
    """Return headers and body of a structured-mode event (CloudEvents JSON format)."""
    try:
        whole: dict[str, Any] = msgspec.json.decode(value, type=dict[str, Any])
        data = msgspec.json.encode(whole.pop("data"))
    except (msgspec.DecodeError, msgspec.ValidationError, KeyError):
        raise Poison("body") from None
    return {f"ce_{name}": str(given).encode() for name, given in whole.items()}, data
