"""What has come is fetched a little at a time, up to a bound, and nothing that was fetched is forgotten."""

import asyncio
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CorruptRecordException, KafkaConnectionError, KafkaError

from services.kernel.consumer.decoding import DecodedBatch, EventDecoder
from services.kernel.consumer.polling import Poller, fetch_batch, has_unfetched
from services.kernel.kafka.cloudevents import Record
from services.kernel.kafka.signals import TopicSignal
from tests.tally import TALLY, a_message, a_record, case_id, seen

DECODER = EventDecoder(TALLY)
HERE = TopicPartition("samspil.referral.v1", 0)
THERE = TopicPartition("samspil.consent.v1", 0)


class Holding:
    """A consumer that holds so many records already, and may lose its broker after some of them."""

    def __init__(self, count: int, *, fails_after: int = 1_000_000) -> None:
        """Hold records of as many streams."""
        self.left = [a_record(a_message(case_id(n), 1, seen(n))) for n in range(count)]
        self.fetches: list[tuple[int, int]] = []
        self._fails_after = fails_after

    def assignment(self) -> set[TopicPartition]:
        """No partition is assigned."""
        return set()

    async def getmany(
        self, *, timeout_ms: int, max_records: int
    ) -> Mapping[TopicPartition, Sequence[Record]]:
        """Hand out the next records."""
        self.fetches.append((timeout_ms, max_records))
        if len(self.fetches) > self._fails_after:
            raise KafkaConnectionError
        records, self.left = self.left[:max_records], self.left[max_records:]
        return {HERE: records} if records else {}


async def fetched_from(consumer: Any, *, most: int = 500) -> DecodedBatch:
    """Return what is fetched at once."""
    batch = DecodedBatch()
    await fetch_batch(consumer, DECODER, batch, most=most, wait_ms=1_000)
    return batch


@pytest.mark.parametrize(("count", "fetched"), [(0, 0), (1, 1), (64, 64), (500, 500), (700, 500)])
async def test_records_are_fetched_up_to_a_bound(count: int, fetched: int) -> None:
    """What is beyond it waits for the next time."""
    consumer = Holding(count)

    batch = await fetched_from(consumer)

    assert [event.stream_id for event in batch.events] == [case_id(n) for n in range(fetched)]
    assert len(consumer.left) == count - fetched


async def test_only_the_first_is_waited_for() -> None:
    """What comes later is for the next time."""
    consumer = Holding(100)

    await fetched_from(consumer)

    assert [wait for wait, _ in consumer.fetches] == [1_000, 0, 0]


async def test_a_failure_after_some_records_keeps_them() -> None:
    """What was handed out already is not handed out again."""
    batch = await fetched_from(Holding(200, fails_after=2))

    assert batch.count == 128


async def test_a_fetch_that_fails_at_once_raises() -> None:
    """There is nothing to go on with."""
    with pytest.raises(KafkaConnectionError):
        await fetched_from(Holding(200, fails_after=0))


class Breaking:
    """A consumer of two partitions, which fails on the second after the records of the first."""

    def __init__(self, fault: Exception) -> None:
        """Hold one record in each partition."""
        self.offsets = {HERE: 7, THERE: 3}
        self.faults = [fault]
        self._subscription = SimpleNamespace(subscription=SimpleNamespace(assignment=self))

    def assignment(self) -> set[TopicPartition]:
        """Return both partitions."""
        return set(self.offsets)

    def state_value(self, partition: TopicPartition) -> SimpleNamespace:
        """Return where it is."""
        return SimpleNamespace(position=self.offsets[partition], has_valid_position=True)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Go there."""
        self.offsets[partition] = offset

    async def getmany(self, **_how: int) -> Mapping[TopicPartition, Sequence[Record]]:
        """Hand out the first partition's record where it stands before it."""
        if self.offsets[HERE] > 7:
            return {}
        self.offsets[HERE] = 8
        if self.faults:
            raise self.faults.pop()
        return {HERE: [a_record(a_message(case_id(1), 1, seen(1)))]}


@pytest.mark.parametrize(
    "fault", [CorruptRecordException(), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "")], ids=repr
)
async def test_the_records_of_a_failed_fetch_are_fetched_again(fault: Exception) -> None:
    """A record that cannot be read costs no record of another partition, and fetching goes on."""
    consumer = Breaking(fault)

    with pytest.raises(KafkaError):
        await fetched_from(consumer)

    assert consumer.offsets == {HERE: 7, THERE: 3}
    assert (await fetched_from(consumer)).count == 1


class Standing:
    """A consumer at an offset, with the end that its last fetch has learned."""

    def __init__(self, offset: int | None, high: int | None) -> None:
        """Stand at an offset, if any."""
        self._high = high
        state = SimpleNamespace(position=offset, has_valid_position=offset is not None)
        assignment = SimpleNamespace(state_value=lambda _: state)
        self._subscription = SimpleNamespace(subscription=SimpleNamespace(assignment=assignment))

    def assignment(self) -> set[TopicPartition]:
        """One partition."""
        return {HERE}

    def highwater(self, _: TopicPartition) -> int | None:
        """How far it reaches, by the last fetch that was answered."""
        return self._high


@pytest.mark.parametrize(
    ("offset", "high", "acknowledged", "behind"),
    [
        (None, None, None, True),  # no position yet
        (0, None, None, True),  # no fetch was answered yet
        (7, 7, None, False),
        (7, 7, 7, False),
        (7, 9, None, True),
        (7, 7, 9, True),  # it was rung, and the fetch since then was not answered in time
    ],
)
def test_a_consumer_does_not_rest_before_everything_was_fetched(
    offset: int | None,
    high: int | None,
    acknowledged: int | None,
    behind: bool,  # noqa: FBT001  what is expected
) -> None:
    """A fetch that was not answered in time says nothing; what a relay of this process has sent is there."""
    consumer: Any = Standing(offset, high)

    assert has_unfetched(consumer, {} if acknowledged is None else {HERE: acknowledged}) is behind


def nowhere(offset: int) -> Any:
    """Return a consumer to which no partition is assigned yet."""
    consumer = Standing(offset, offset)
    consumer.assignment = set  # type: ignore[method-assign]
    return consumer


def test_a_consumer_without_partitions_does_not_rest() -> None:
    """They may be assigned in the next moment, without a signal."""
    assert has_unfetched(nowhere(7), {})


class Answering:
    """A consumer of one partition whose fetches go as the test says."""

    def __init__(self) -> None:
        """Stand at the end of the topic."""
        self.offset = self.high = 7
        self.faults: list[Exception] = []
        self.fetches = 0
        self.paused = False
        self._subscription = SimpleNamespace(subscription=SimpleNamespace(assignment=self))

    def assignment(self) -> set[TopicPartition]:
        """Return the partition."""
        return {HERE}

    def state_value(self, _: TopicPartition) -> SimpleNamespace:
        """Return the position."""
        return SimpleNamespace(position=self.offset, has_valid_position=True)

    def highwater(self, _: TopicPartition) -> int:
        """Return the end that the last fetch has learned."""
        return self.high

    def resume(self, *_: TopicPartition) -> None:
        """Fetch again."""
        self.paused = False

    def pause(self, *_: TopicPartition) -> None:
        """Fetch no more."""
        self.paused = True

    async def getmany(self, **_how: int) -> Mapping[TopicPartition, Sequence[Record]]:
        """Return nothing, or fail."""
        self.fetches += 1
        if self.faults:
            raise self.faults.pop()
        return {}


async def rests(poller: Poller, consumer: Any) -> bool:
    """Return whether a poll rests instead of fetching; it is cancelled then."""
    before = consumer.fetches
    polling = asyncio.create_task(poller.poll(consumer))
    for _ in range(5):
        await asyncio.sleep(0)
    polling.cancel()
    await asyncio.gather(polling, return_exceptions=True)
    return bool(consumer.fetches == before)


@pytest.fixture
def resting() -> tuple[Poller, Answering, TopicSignal]:
    """Return a poller by a signal, with a consumer at the end of its topic."""
    signal = TopicSignal()
    return Poller(DECODER, signal, 500), Answering(), signal


async def test_a_poller_rests_once_everything_was_fetched(
    resting: tuple[Poller, Answering, TopicSignal],
) -> None:
    """An embedded broker is not polled for nothing."""
    poller, consumer, _ = resting
    await poller.poll(consumer)

    assert consumer.paused
    assert await rests(poller, consumer)


async def test_a_signal_ends_the_rest(resting: tuple[Poller, Answering, TopicSignal]) -> None:
    """Also one that was raised while the last batch was processed."""
    poller, consumer, signal = resting
    await poller.poll(consumer)
    signal.raised.set()

    assert not await rests(poller, consumer)


async def test_a_signal_during_a_fetch_is_not_lost(resting: tuple[Poller, Answering, TopicSignal]) -> None:
    """It was lowered before the fetch, so what is sent meanwhile raises it again."""
    poller, consumer, signal = resting
    fetch = consumer.getmany

    async def interrupted(**how: int) -> Mapping[TopicPartition, Sequence[Record]]:
        found = await fetch(**how)
        signal.raised.set()
        return found

    consumer.getmany = interrupted  # type: ignore[method-assign]
    await poller.poll(consumer)

    assert not await rests(poller, consumer)


async def test_a_poller_does_not_rest_after_a_fetch_that_failed(
    resting: tuple[Poller, Answering, TopicSignal],
) -> None:
    """The signal was lowered for that fetch: its events are still there, and no other signal follows."""
    poller, consumer, signal = resting
    await poller.poll(consumer)
    signal.raised.set()
    consumer.faults.append(KafkaConnectionError())
    with pytest.raises(KafkaConnectionError):
        await poller.poll(consumer)

    assert not await rests(poller, consumer)
