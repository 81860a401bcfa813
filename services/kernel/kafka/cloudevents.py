"""Events as Kafka messages: CloudEvents 1.0 binary mode out, binary and structured mode in."""

import base64
import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, TypeAlias

import msgspec
from aiokafka import ConsumerRecord
from msgspec import Struct

from contracts.envelope import CONTENT_TYPE, dataschema_of, source_of
from contracts.event import service_of
from services.kernel.decider.service import EventMetadata
from services.kernel.errors import Poison

LARGEST: Final = 64 * 1024
"""The size in bytes that every reader of the NL GOV profile for CloudEvents must accept."""

_UUID_LENGTH: Final = 36
_HEADERS: Final = 15
"""How many headers an event has, unless it is traced or belongs to a later timeline."""

_SEQUENCE_LENGTH: Final = 10
_CONTENT_TYPE: Final = CONTENT_TYPE.encode()
_STRUCTURED: Final = b"application/cloudevents"
_OURS: Final = re.compile("ce_|content-type$")
Headers = list[tuple[str, bytes]]
Record: TypeAlias = ConsumerRecord[bytes, bytes]


class Message(Struct, frozen=True, gc=False):
    """A Kafka message to be sent."""

    type: str
    key: bytes
    value: bytes
    headers: Headers


class OutgoingEvent(Struct, frozen=True, gc=False):
    """An event to be sent; its headers are made when it is sent, since they are many objects."""

    event_id: str
    key: str
    seq: int
    tenant: str
    type: str
    metadata: EventMetadata
    data: bytes
    timeline: int = 0

    def message(self) -> Message:
        """Return the event as a message."""
        made = message_of(self.event_id, self.key, self.seq, self.tenant, self.type, self.metadata, self.data)
        if self.timeline:
            made.headers.append(("ce_timeline", b"%d" % self.timeline))
        return made


@lru_cache(maxsize=4096)
def _header(name: str, text: str) -> tuple[str, bytes]:
    """Return a header whose text many events share."""
    return name, text.encode()


@lru_cache(maxsize=64)
def _time_header(time: datetime) -> tuple[str, bytes]:
    return "ce_time", time.isoformat().encode()


@lru_cache(maxsize=512)
def _fixed(event_type: str) -> Headers:
    return [
        ("content-type", _CONTENT_TYPE),
        ("ce_specversion", b"1.0"),
        ("ce_type", event_type.encode()),
        ("ce_source", source_of(service_of(event_type)).encode()),
        ("ce_dataschema", dataschema_of(event_type).encode()),
    ]


def message_of(
    event_id: str, stream_id: str, seq: int, tenant: str, event_type: str, meta: EventMetadata, data: bytes
) -> Message:
    """Return the message of an event, the same to the byte however often it is made."""
    key = stream_id.encode()
    headers = [
        *_fixed(event_type),
        ("ce_id", event_id.encode()),
        ("ce_subject", key),
        ("ce_partitionkey", key),
        _time_header(meta.time),
        _header("ce_tenant", tenant),
        ("ce_correlationid", meta.correlation.encode()),
        ("ce_causationid", meta.causation.encode()),
        _header("ce_actor", meta.actor),
        _header("ce_role", meta.role),
    ]
    if seq:
        headers.append(("ce_sequence", b"%010d" % seq))
    if meta.traceparent:
        trace = meta.traceparent.encode()
        headers.append(("ce_traceparent", trace))
        headers.append(("traceparent", trace))
    return Message(event_type, key, data, headers)


def decode_headers(record: Record) -> tuple[dict[str, bytes], bytes]:
    """Return a record's headers and body; raise `Poison` where it cannot be an event of ours."""
    value = record.value
    if value is None:
        raise Poison("body")
    if len(value) > LARGEST:
        raise Poison("oversized")
    found = dict(record.headers)
    if len(found) != len(record.headers) or (None in found.values() and _has_null_header(found)):
        raise Poison("header")
    content_type = found.get("content-type", b"")
    if content_type != _CONTENT_TYPE and content_type.startswith(_STRUCTURED):
        return decode_structured(value)
    return found, value


def _has_null_header(found: Mapping[str, bytes | None]) -> bool:
    """Return whether a header that is read here has no value, which Kafka allows."""
    return any(value is None and _OURS.match(name) for name, value in found.items())


def is_canonical(found: Mapping[str, bytes], schema: bytes, key: str, time: datetime) -> bool:
    """Return whether an event that was read has just the headers that `message_of` gives it, to the byte.

    Its stream and its time are passed as they were parsed.
    """
    return (
        len(found) == _HEADERS
        and found.get("content-type") == _CONTENT_TYPE
        and found.get("ce_dataschema") == schema
        and found["ce_subject"] == found.get("ce_partitionkey") == key.encode()
        and len(found["ce_sequence"]) == _SEQUENCE_LENGTH
        and found["ce_time"] == _time_header(time)[1]
    )


def record_of(position: tuple[str, int, int], key: bytes, message: Message) -> Record:
    """Return the record of a message at a position (topic, partition, offset)."""
    topic, partition, offset = position
    return ConsumerRecord(
        topic=topic,
        partition=partition,
        offset=offset,
        timestamp=0,
        timestamp_type=0,
        key=key,
        value=message.value,
        checksum=None,
        serialized_key_size=len(key),
        serialized_value_size=len(message.value),
        headers=tuple(message.headers),
    )


def metadata_of(found: Mapping[str, bytes]) -> EventMetadata:
    """Return the metadata in the headers; raise `Poison`."""
    actor, correlation, causation = found["ce_actor"], found["ce_correlationid"], found["ce_causationid"]
    if not len(actor) == len(correlation) == len(causation) == _UUID_LENGTH:
        raise Poison("header")
    role = found["ce_role"].decode()
    if "\0" in role:
        raise Poison("header")
    return EventMetadata(
        _time(found["ce_time"]),
        actor.decode("ascii"),
        role,
        correlation.decode("ascii"),
        causation.decode("ascii"),
        found["ce_traceparent"].decode() if "ce_traceparent" in found else "",
    )


@lru_cache(maxsize=64)
def _time(text: bytes) -> datetime:
    """Parse the time of a header; the events of one batch share few of them."""
    time = datetime.fromisoformat(text.decode())
    if time.tzinfo is None:
        raise Poison("header")
    return time


def parse_uuid(uuid: bytes) -> str:
    """Return an id as text; raise `Poison` where it cannot be one."""
    if len(uuid) != _UUID_LENGTH:
        raise Poison("header")
    return uuid.decode("ascii")


def decode_structured(body: bytes) -> tuple[dict[str, bytes], bytes]:
    """Return headers and body of a structured-mode event (CloudEvents JSON format, 2.2, 3.1)."""
    try:
        whole: dict[str, Any] = msgspec.json.decode(body, type=dict[str, Any])
        if "data_base64" in whole:
            data = base64.b64decode(whole.pop("data_base64"), validate=True)
        else:
            data = msgspec.json.encode(whole.pop("data"))
    except (msgspec.DecodeError, msgspec.ValidationError, KeyError, TypeError, ValueError, RecursionError):
        raise Poison("body") from None
    return {f"ce_{name}": _header_text(value) for name, value in whole.items() if value is not None}, data


def _header_text(value: Any) -> bytes:
    """Return an attribute's value as the text of a header (CloudEvents, 3.1.1)."""
    return (str(value).lower() if isinstance(value, bool) else str(value)).encode()
