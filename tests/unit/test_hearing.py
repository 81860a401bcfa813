"""A record is an event of ours or it is not; which of the two is told without looking anything up."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from contracts.consent import ConsentTicked
from services.kernel.hearing import Hearing
from services.kernel.messages import Message
from tests.examples_poison import QUARANTINED, instead
from tests.tally import ACTOR, START, TALLY, TENANT, a_message, a_record, case_id, seen

HEARING = Hearing(TALLY)
STREAM = case_id(1)


def test_an_event_is_read_with_its_place_and_time() -> None:
    """Body, stream, sequence, municipality, and who did it when."""
    (heard,), ticks, unreadable = HEARING.read([a_record(a_message(STREAM, 3, seen(3)))])

    assert (heard.stream_id, heard.seq, heard.source, heard.tenant) == (STREAM, 3, "referral", TENANT)
    assert heard.body == seen(3)
    assert (heard.now, heard.meta.actor, heard.meta.role) == (START, str(ACTOR), "caseworker")
    assert (heard.poison, ticks, unreadable) == ("", {}, [])


@pytest.mark.parametrize("name", QUARANTINED)
def test_what_cannot_be_an_event_is_set_apart(name: str) -> None:
    """It is neither read nor taken for the event of any stream; those beside it are."""
    spoilt = QUARANTINED[name](a_message(STREAM, 1, seen(1)))
    good = a_message(STREAM, 1, seen(1))

    heard, _, unreadable = HEARING.read([a_record(good), a_record(spoilt), a_record(good)])

    assert len(heard) == 2
    assert [reason for _, reason in unreadable] in (["header"], ["body"])


@pytest.mark.parametrize("tenant", [b"0440", b"0000", b"9999"])
def test_a_municipality_is_four_digits(tenant: bytes) -> None:
    """Whichever they are."""
    heard, _, _ = HEARING.read([a_record(instead("ce_tenant", tenant)(a_message(STREAM, 1, seen(1))))])

    assert [one.tenant for one in heard] == [tenant.decode()]


def test_a_topic_carries_its_owner_s_events_only() -> None:
    """Nobody speaks in another's name, nor of another's matters."""
    good = a_message(STREAM, 1, seen(1))
    foreign = [
        a_record(good, topic="samspil.agreement.v1"),
        a_record(instead("ce_source", b"urn:samspil:agreement")(good)),
        a_record(a_message(STREAM, 1, seen(1), event_type="agreement.signed.v1")),
    ]

    heard, _, unreadable = HEARING.read(foreign)

    assert heard == []
    assert [reason for _, reason in unreadable] == ["source"] * 3


def test_the_latest_tick_of_a_partition_counts() -> None:
    """Ticks are no events of a stream."""
    watching = Hearing(replace(TALLY, hears=(ConsentTicked,)))
    early, late = datetime(2026, 3, 2, 9, tzinfo=UTC), datetime(2026, 3, 2, 10, tzinfo=UTC)
    records = [
        a_record(
            a_message(STREAM, 1, ConsentTicked(partition=partition, at=at)),
            topic="samspil.consent.v1",
            partition=partition,
        )
        for partition, at in ((0, early), (1, early), (0, late))
    ]

    heard, ticks, unreadable = watching.read(records)

    assert (heard, unreadable) == ([], [])
    assert ticks == {0: late, 1: early}


def test_a_tick_that_cannot_be_read_is_set_apart() -> None:
    """It moves nothing."""
    watching = Hearing(replace(TALLY, hears=(ConsentTicked,)))
    tick = a_message(STREAM, 1, ConsentTicked(partition=0, at=START))
    spoilt = Message(tick.type, tick.key, b'{"partition": 0, "at": "soon"}', tick.headers)

    heard, ticks, unreadable = watching.read([a_record(spoilt, topic="samspil.consent.v1")])

    assert (heard, ticks) == ([], {})
    assert [reason for _, reason in unreadable] == ["body"]


def test_only_so_many_kinds_are_remembered() -> None:
    """A sender of ever new types does not fill the memory."""
    fresh = Hearing(TALLY)
    for n in range(1_200):
        strange = a_message(STREAM, 1, seen(1), event_type=f"referral.new_{n}.v1")
        heard, _, _ = fresh.read([a_record(strange)])
        assert heard[0].body is None

    assert len(fresh._kinds) <= 1_000
