"""Records that are no events of ours, each spoilt at one point; and events that wait."""

from collections.abc import Callable
from uuid import NAMESPACE_URL, UUID, uuid5

from services.kernel.kafka.cloudevents import Message
from services.kernel.streams.stream import ParkedEvent
from tests.tally import TENANT, case_id


def instead(name: str, value: bytes | None) -> Callable[[Message], Message]:
    """Return what puts another value in a header."""

    def change(good: Message) -> Message:
        headers = [(n, value if n == name else v) for n, v in good.headers]
        return Message(good.type, good.key, good.value, headers)  # type: ignore[arg-type]  # Kafka takes nothing

    return change


def without(name: str) -> Callable[[Message], Message]:
    """Return what leaves a header out."""
    return lambda good: Message(
        good.type, good.key, good.value, [header for header in good.headers if header[0] != name]
    )


QUARANTINED: dict[str, Callable[[Message], Message]] = {
    "a municipality of letters": instead("ce_tenant", b"abcd"),
    "a municipality too long": instead("ce_tenant", b"04400"),
    "a municipality of nothing": instead("ce_tenant", b""),
    "a municipality with a zero byte": instead("ce_tenant", b"04\x000"),
    "a municipality that separates columns": instead("ce_tenant", b"04\x1e0"),
    "a sequence beyond all numbers": instead("ce_sequence", b"9" * 20),
    "a sequence without end": instead("ce_sequence", b"9" * 5000),
    "a sequence of zero": instead("ce_sequence", b"0000000000"),
    "a sequence below zero": instead("ce_sequence", b"-1"),
    "a sequence of words": instead("ce_sequence", b"first"),
    "no sequence": without("ce_sequence"),
    "a stream that is no id": instead("ce_subject", b"Karen"),
    "a stream that is not the key": instead("ce_subject", str(case_id(2)).encode()),
    "an id that is none": instead("ce_id", b"x" * 36),
    "an actor that is none": instead("ce_actor", b"Karen"),
    "a correlation that is none": instead("ce_correlationid", b"Karen"),
    "a causation that is none": instead("ce_causationid", b"\xff" * 36),
    "another standard": instead("ce_specversion", b"2.0"),
    "a time without a zone": instead("ce_time", b"2026-03-02T09:00:00"),
    "a time that is none": instead("ce_time", b"yesterday"),
    "no type": without("ce_type"),
    "no headers": lambda good: Message(good.type, good.key, good.value, []),
    "a type with a zero byte": instead("ce_type", b"referral.s\x00een.v1"),
    "a role with a zero byte": instead("ce_role", b"case\x00worker"),
    "a type that is nothing": instead("ce_type", None),
    "a time that is nothing": instead("ce_time", None),
    "a content type that is nothing": instead("content-type", None),
    "a header twice": lambda good: Message(good.type, good.key, good.value, [*good.headers, good.headers[0]]),
    "no key": lambda good: Message(good.type, None, good.value, good.headers),  # type: ignore[arg-type]
    "no body": lambda good: Message(good.type, good.key, None, good.headers),  # type: ignore[arg-type]
    "a whole that is no object": lambda good: Message(
        good.type, good.key, b"[]", [("content-type", b"application/cloudevents+json")]
    ),
    "a whole that goes too deep": lambda good: Message(
        good.type,
        good.key,
        b'{"data":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        [("content-type", b"application/cloudevents+json")],
    ),
    "a whole whose bytes are none": lambda good: Message(
        good.type, good.key, b'{"data_base64":"?"}', [("content-type", b"application/cloudevents+json")]
    ),
    "a whole without its parts": lambda good: Message(
        good.type, good.key, b'{"data":{}}', [("content-type", b"application/cloudevents+json")]
    ),
}


def a_parked(
    offset: int,
    *,
    stream_id: UUID | None = None,
    seq: int = 1,
    topic: str = "samspil.referral.v1",
    part: int = 0,
) -> ParkedEvent:
    """Return an event that waits."""
    return ParkedEvent(
        tenant=TENANT,
        stream_id=stream_id,
        source="referral" if stream_id else None,
        seq=seq if stream_id else None,
        event_id=uuid5(NAMESPACE_URL, f"event {seq}") if stream_id else None,
        type="referral.seen.v1",
        topic=topic,
        kafka_partition=part,
        kafka_offset=offset,
        key=b"key",
        headers="[]",
        value=b"{not json",
        reason="body",
        detail="",
    )
