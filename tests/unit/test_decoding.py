"""A record is decoded to an event, to a watermark, or as unreadable, without any other data."""

import base64
import json
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from pydantic import model_validator

from contracts.consent import ConsentTicked
from contracts.referral import ReferralReady, ReferralSeen
from services.kernel.consumer.decoding import EventDecoder
from services.kernel.kafka.cloudevents import Message
from services.kernel.streams.envelopes import rebuild_record
from services.kernel.streams.parked import park, unpark
from tests.examples_poison import QUARANTINED, instead
from tests.tally import ACTOR, START, TALLY, TENANT, a_message, a_record, case_id, seen

DECODER = EventDecoder(TALLY)
STREAM = case_id(1)
READY = ReferralReady(referral_id=case_id(2), send_by=date(2026, 3, 9))


def test_an_event_is_decoded_with_its_metadata() -> None:
    """Body, stream, sequence, municipality, actor and time."""
    batch = DECODER.read([a_record(a_message(STREAM, 3, seen(3)))])
    (event,), watermarks, unreadable = batch.events, batch.watermarks, batch.unreadable

    assert (event.stream_id, event.seq, event.source, event.tenant) == (STREAM, 3, "referral", TENANT)
    assert event.body == seen(3)
    assert (event.now, event.metadata.actor, event.metadata.role) == (START, str(ACTOR), "caseworker")
    assert (event.poison, watermarks, unreadable) == ("", {}, [])


@pytest.mark.parametrize("name", QUARANTINED)
def test_what_cannot_be_an_event_is_set_apart(name: str) -> None:
    """It is neither read nor taken for the event of any stream; those beside it are."""
    spoilt = QUARANTINED[name](a_message(STREAM, 1, seen(1)))
    good = a_message(STREAM, 1, seen(1))

    batch = DECODER.read([a_record(good), a_record(spoilt), a_record(good)])
    events, unreadable = batch.events, batch.unreadable

    assert len(events) == 2
    assert [reason for _, reason in unreadable] in (["header"], ["body"])


@pytest.mark.parametrize("tenant", [b"0440", b"0000", b"9999"])
def test_a_municipality_is_four_digits(tenant: bytes) -> None:
    """Whichever they are."""
    batch = DECODER.read([a_record(instead("ce_tenant", tenant)(a_message(STREAM, 1, seen(1))))])
    events = batch.events

    assert [one.tenant for one in events] == [tenant.decode()]


def test_a_topic_carries_its_owner_s_events_only() -> None:
    """No service sends in another's name, nor events of another."""
    good = a_message(STREAM, 1, seen(1))
    foreign = [
        a_record(good, topic="samspil.agreement.v1"),
        a_record(instead("ce_source", b"urn:samspil:agreement")(good)),
        a_record(a_message(STREAM, 1, seen(1), event_type="agreement.signed.v1")),
    ]

    batch = DECODER.read(foreign)
    events, unreadable = batch.events, batch.unreadable

    assert events == []
    assert [reason for _, reason in unreadable] == ["source"] * 3


def test_the_latest_watermark_of_a_partition_counts() -> None:
    """Watermarks are no events of a stream."""
    decoder = EventDecoder(replace(TALLY, subscribes_to=(ConsentTicked,)))
    early, late = datetime(2026, 3, 2, 9, tzinfo=UTC), datetime(2026, 3, 2, 10, tzinfo=UTC)
    records = [
        a_record(
            a_message(STREAM, 1, ConsentTicked(partition=partition, at=at)),
            topic="samspil.consent.v1",
            partition=partition,
        )
        for partition, at in ((0, early), (1, early), (0, late))
    ]

    batch = decoder.read(records)
    events, watermarks, unreadable = batch.events, batch.watermarks, batch.unreadable

    assert (events, unreadable) == ([], [])
    assert watermarks == {0: late, 1: early}


def test_an_unreadable_watermark_is_quarantined() -> None:
    """It moves nothing."""
    decoder = EventDecoder(replace(TALLY, subscribes_to=(ConsentTicked,)))
    watermark = a_message(STREAM, 1, ConsentTicked(partition=0, at=START))
    spoilt = Message(watermark.type, watermark.key, b'{"partition": 0, "at": "soon"}', watermark.headers)

    batch = decoder.read([a_record(spoilt, topic="samspil.consent.v1")])
    events, watermarks, unreadable = batch.events, batch.watermarks, batch.unreadable

    assert (events, watermarks) == ([], {})
    assert [reason for _, reason in unreadable] == ["body"]


@pytest.mark.parametrize(
    "unusual",
    [
        {"traceparent": None, "dataschema": None},
        {"sequence": 3},
        {"urgent": True},
        {"data": None, "data_base64": base64.b64encode(a_message(STREAM, 3, seen(3)).value).decode()},
    ],
    ids=["attributes that are null", "a number", "a truth", "a body in base64"],
)
def test_a_whole_may_be_spelt_in_every_way_that_the_format_knows(unusual: dict[str, object]) -> None:
    """An attribute that is null is none; a number counts as its digits; a body may come as bytes."""
    binary = a_message(STREAM, 3, seen(3))
    whole = {name.removeprefix("ce_"): value.decode() for name, value in binary.headers if name[:3] == "ce_"}
    spelt = {**whole, "data": json.loads(binary.value), **unusual}
    if "data_base64" in unusual:
        del spelt["data"]
    message = Message(
        binary.type,
        binary.key,
        json.dumps(spelt).encode(),
        [("content-type", b"application/cloudevents+json")],
    )

    (event,) = DECODER.read([a_record(message)]).events

    assert (event.seq, event.body, event.traceparent) == (3, seen(3), "")


def test_a_header_without_a_value_that_is_none_of_ours_is_kept_as_it_came() -> None:
    """The event beside it is read, and waits with it where it must."""
    message = a_message(STREAM, 3, seen(3))
    strange: list[Any] = [*message.headers, ("x-sender", None)]
    came = a_record(Message(message.type, message.key, message.value, strange))

    (event,) = DECODER.read([came]).events
    waits = park(came, "gap")
    again = unpark(
        {
            "topic": waits.topic,
            "kafka_partition": waits.kafka_partition,
            "kafka_offset": waits.kafka_offset,
            "key": waits.key,
            "headers": waits.headers,
            "value": waits.value,
        }
    )

    assert again.headers == came.headers
    assert event.record is came


class Broken(ReferralSeen):
    """An event whose reader has a fault of its own."""

    @model_validator(mode="before")
    @classmethod
    def _break(cls, _said: object) -> object:
        raise AttributeError


def test_a_record_that_breaks_the_reader_takes_no_other_along() -> None:
    """Else the records fetched with it would be skipped silently."""
    broken, good = a_record(a_message(STREAM, 1, seen(1))), a_record(a_message(STREAM, 1, READY))

    batch = EventDecoder(replace(TALLY, subscribes_to=(Broken, ReferralReady))).read([broken, good])

    assert [event.body for event in batch.events] == [READY]
    assert batch.unreadable == [(broken, "bug")]


def test_only_so_many_kinds_are_remembered() -> None:
    """A sender of ever new types does not fill the memory."""
    fresh = EventDecoder(TALLY)
    for n in range(1_200):
        strange = a_message(STREAM, 1, seen(1), event_type=f"referral.new_{n}.v1")
        batch = fresh.read([a_record(strange)])
        events = batch.events
        assert events[0].body is None

    assert len(fresh._bindings) <= 1_000


def test_a_record_is_not_kept_where_it_can_be_rebuilt() -> None:
    """What waits later is kept as it came, though the record itself was not."""
    came = a_record(a_message(STREAM, 3, seen(3)), partition=5)

    (event,) = DECODER.read([came]).events
    again = rebuild_record(event)

    assert event.record is None
    assert (again.topic, again.partition, again.offset, again.key, again.value) == (
        came.topic,
        came.partition,
        came.offset,
        came.key,
        came.value,
    )
    assert sorted(again.headers) == sorted(came.headers)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ce_dataschema", b"urn:else"),
        ("ce_partitionkey", b"another"),
        ("ce_timeline", b"4711"),
        ("ce_extra", b"1"),
        ("ce_sequence", b"3"),
        ("ce_time", b"2026-03-02T09:00:00Z"),
        ("content-type", b"application/json; charset=utf-8"),
        ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ],
)
def test_a_record_is_kept_where_it_says_more(name: str, value: bytes) -> None:
    """Whatever an event of ours would not say would be lost."""
    message = a_message(STREAM, 3, seen(3))
    headers = [header for header in message.headers if header[0] != name]
    came = a_record(Message(message.type, message.key, message.value, [*headers, (name, value)]))

    (event,) = DECODER.read([came]).events

    assert event.record is came


def test_a_record_whose_stream_is_spelt_otherwise_is_kept() -> None:
    """It names the same stream, and yet in other letters."""
    message = a_message(STREAM, 3, seen(3))
    key = str(STREAM).upper().encode()
    headers = [
        (name, key) if name in ("ce_subject", "ce_partitionkey") else (name, value)
        for name, value in message.headers
    ]
    came = a_record(Message(message.type, key, message.value, headers))

    (event,) = DECODER.read([came]).events

    assert event.stream_id == STREAM
    assert event.record is came


def test_a_record_without_a_content_type_is_kept() -> None:
    """Another header instead does not complete it."""
    message = a_message(STREAM, 3, seen(3))
    headers = [("x", value) if name == "content-type" else (name, value) for name, value in message.headers]
    came = a_record(Message(message.type, message.key, message.value, headers))

    assert [event.record for event in DECODER.read([came]).events] == [came]


def test_the_halves_of_a_batch_hold_what_lies_in_their_partitions() -> None:
    """Each keeps its order, and nothing is left out."""
    decoder = EventDecoder(replace(TALLY, subscribes_to=(ReferralSeen, ConsentTicked)))
    spoilt = Message("", b"", b"", [])
    batch = decoder.read(
        [a_record(a_message(case_id(n), 1, seen(n)), partition=n % 4) for n in range(8)]
        + [a_record(spoilt, partition=1)]
    )
    decoder.read(
        [
            a_record(
                a_message(STREAM, 1, ConsentTicked(partition=2, at=START)),
                topic="samspil.consent.v1",
                partition=2,
            )
        ],
        batch,
    )

    even, odd = batch.split_by_parity()

    assert [event.stream_id for event in even.events] == [case_id(n) for n in range(0, 8, 2)]
    assert [event.stream_id for event in odd.events] == [case_id(n) for n in range(1, 8, 2)]
    assert (even.watermarks, odd.watermarks) == ({2: START}, {})
    assert ([at for at, _ in even.unreadable], len(odd.unreadable)) == ([], 1)
    assert (batch.count, even.count, odd.count) == (10, 5, 5)
    assert batch.ends["samspil.referral.v1", 1] == 8


def test_a_batch_of_one_partition_has_one_half() -> None:
    """There is nothing to work at beside it."""
    batch = DECODER.read([a_record(a_message(case_id(n), 1, seen(n))) for n in range(3)])

    assert [half.count for half in batch.split_by_parity()] == [3]
