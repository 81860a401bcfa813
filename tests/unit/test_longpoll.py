"""What has come is taken a little at a time, up to a bound, and nothing that was taken is forgotten."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CorruptRecordException, KafkaConnectionError, KafkaError

from services.kernel.consumer.decoding import DecodedBatch, EventDecoder
from services.kernel.consumer.faststream_subscriber import fetch_batch, has_unfetched
from services.kernel.kafka.cloudevents import Record
from tests.tally import TALLY, a_message, a_record, case_id, seen

HEARING = EventDecoder(TALLY)
HERE = TopicPartition("samspil.referral.v1", 0)
THERE = TopicPartition("samspil.consent.v1", 0)


class Holding:
    """A consumer that holds so many records already, and may lose its broker after some of them."""

    def __init__(self, count: int, *, fails_after: int = 1_000_000) -> None:
        """Hold records of as many streams."""
        self.left = [a_record(a_message(case_id(n), 1, seen(n))) for n in range(count)]
        self.asked: list[tuple[int, int]] = []
        self._fails_after = fails_after

    def assignment(self) -> set[TopicPartition]:
        """Nothing is known of its places."""
        return set()

    async def getmany(
        self, *, timeout_ms: int, max_records: int
    ) -> Mapping[TopicPartition, Sequence[Record]]:
        """Hand out the next records."""
        self.asked.append((timeout_ms, max_records))
        if len(self.asked) > self._fails_after:
            raise KafkaConnectionError
        given, self.left = self.left[:max_records], self.left[max_records:]
        return {HERE: given} if given else {}


async def taken_from(consumer: Any, *, most: int = 500) -> DecodedBatch:
    """Return what is taken at once."""
    batch = DecodedBatch()
    await fetch_batch(consumer, HEARING, batch, most=most, wait_ms=1_000)
    return batch


@pytest.mark.parametrize(("count", "taken"), [(0, 0), (1, 1), (64, 64), (500, 500), (700, 500)])
async def test_what_has_come_is_taken_up_to_a_bound(count: int, taken: int) -> None:
    """What is beyond it waits for the next time."""
    consumer = Holding(count)

    batch = await taken_from(consumer)

    assert [heard.stream_id for heard in batch.events] == [case_id(n) for n in range(taken)]
    assert len(consumer.left) == count - taken


async def test_only_the_first_is_waited_for() -> None:
    """What comes later is for the next time."""
    consumer = Holding(100)

    await taken_from(consumer)

    assert [wait for wait, _ in consumer.asked] == [1_000, 0, 0]


async def test_a_broker_that_is_lost_meanwhile_takes_nothing_back() -> None:
    """What was handed out already is not handed out again."""
    batch = await taken_from(Holding(200, fails_after=2))

    assert batch.count == 128


async def test_a_broker_that_is_lost_at_once_is_told() -> None:
    """There is nothing to go on with."""
    with pytest.raises(KafkaConnectionError):
        await taken_from(Holding(200, fails_after=0))


class Breaking:
    """A consumer of two partitions, which breaks on the second with the records of the first in hand."""

    def __init__(self, fault: Exception) -> None:
        """Hold one record in each partition."""
        self.places = {HERE: 7, THERE: 3}
        self.faults = [fault]
        self._subscription = SimpleNamespace(subscription=SimpleNamespace(assignment=self))

    def assignment(self) -> set[TopicPartition]:
        """Return both partitions."""
        return set(self.places)

    def state_value(self, partition: TopicPartition) -> SimpleNamespace:
        """Return where it is."""
        return SimpleNamespace(position=self.places[partition], has_valid_position=True)

    def seek(self, partition: TopicPartition, place: int) -> None:
        """Go there."""
        self.places[partition] = place

    async def getmany(self, **_how: int) -> Mapping[TopicPartition, Sequence[Record]]:
        """Hand out the first partition's record where it stands before it."""
        if self.places[HERE] > 7:
            return {}
        self.places[HERE] = 8
        if self.faults:
            raise self.faults.pop()
        return {HERE: [a_record(a_message(case_id(1), 1, seen(1)))]}


@pytest.mark.parametrize(
    "fault", [CorruptRecordException(), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "")], ids=repr
)
async def test_what_a_broken_fetch_had_in_hand_is_fetched_again(fault: Exception) -> None:
    """A record that cannot be read costs no record of another partition, and those who fetch go on."""
    consumer = Breaking(fault)

    with pytest.raises(KafkaError):
        await taken_from(consumer)

    assert consumer.places == {HERE: 7, THERE: 3}
    assert (await taken_from(consumer)).count == 1


class Standing:
    """A consumer that stands at a place, and was told how far its partition reaches."""

    def __init__(self, place: int | None, high: int | None) -> None:
        """Stand where it is known."""
        self._high = high
        state = SimpleNamespace(position=place, has_valid_position=place is not None)
        assignment = SimpleNamespace(state_value=lambda _: state)
        self._subscription = SimpleNamespace(subscription=SimpleNamespace(assignment=assignment))

    def assignment(self) -> set[TopicPartition]:
        """One partition."""
        return {HERE}

    def highwater(self, _: TopicPartition) -> int | None:
        """How far it reaches, by the last fetch that was answered."""
        return self._high


@pytest.mark.parametrize(
    ("place", "high", "told", "behind"),
    [
        (None, None, None, True),  # nobody has said where to begin
        (0, None, None, True),  # no fetch was answered yet
        (7, 7, None, False),
        (7, 7, 7, False),
        (7, 9, None, True),
        (7, 7, 9, True),  # it was rung, and the fetch since then was not answered in time
    ],
)
def test_nobody_rests_before_all_was_fetched(
    place: int | None,
    high: int | None,
    told: int | None,
    behind: bool,  # noqa: FBT001  what is expected
) -> None:
    """A fetch that was not answered in time says nothing; what a relay of this process has sent is there."""
    consumer: Any = Standing(place, high)

    assert has_unfetched(consumer, {} if told is None else {HERE: told}) is behind
