"""The publisher sends per partition and in order, and wakes consumers of whatever was acknowledged."""

import asyncio
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaError

from services.kernel.decider.service import EventMetadata
from services.kernel.kafka.cloudevents import OutgoingEvent
from services.kernel.kafka.partitioner import key_in, partition_of
from services.kernel.kafka.signals import TopicSignals
from services.kernel.outbox.publisher import Publisher
from tests.tally import START, TALLY, settings_for

TOPIC = "samspil.consent.v1"
PARTITIONS = 4
NOBODY = str(uuid4())
META = EventMetadata(START, NOBODY, "caseworker", NOBODY, NOBODY)


class Batch:
    """A batch of so many records."""

    def __init__(self) -> None:
        """Begin empty."""
        self.keys: list[bytes] = []

    def append(self, *, key: bytes, **_rest: Any) -> object:
        """Add a record; three fit in."""
        if len(self.keys) == 3:
            return None
        self.keys.append(key)
        return object()

    def record_count(self) -> int:
        """Return how many there are."""
        return len(self.keys)


class Producer:
    """A producer that appends to partitions, of which one may fail."""

    def __init__(self, *, failing: int | None = None) -> None:
        """Fail in a partition, once the others are acknowledged."""
        self.topic: dict[int, list[bytes]] = {n: [] for n in range(PARTITIONS)}
        self._failing = failing

    def create_batch(self) -> Batch:
        """Return an empty batch."""
        return Batch()

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> "asyncio.Future[Any]":
        """Append a batch, and return its acknowledgement."""
        assert topic == TOPIC
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if partition == self._failing:
            for _ in range(10):
                await asyncio.sleep(0)
            raise KafkaConnectionError
        done.set_result(SimpleNamespace(offset=len(self.topic[partition])))
        self.topic[partition] += batch.keys
        return done


def event_in(partition: int, seq: int) -> OutgoingEvent:
    """Return an event of a partition."""
    key = key_in(partition, PARTITIONS, "consent")
    return OutgoingEvent(str(uuid4()), key, seq, "0440", "consent.given.v1", META, b"{}")


def a_publisher() -> tuple[Publisher, TopicSignals]:
    """Return a publisher, and the signals that it notifies."""
    signals = TopicSignals()
    settings = settings_for("postgresql://127.0.0.1:9/none", "127.0.0.1:9", "embedded")
    return Publisher(TALLY, settings, signals), signals


async def test_events_are_sent_to_their_partitions_in_order() -> None:
    """A batch that is full is followed by another."""
    publisher, signals = a_publisher()
    signal = signals.subscribe([TOPIC])
    producer: Any = Producer()

    await publisher.publish(producer, [event_in(n, seq) for seq in range(1, 5) for n in (0, 2)])

    assert {n: len(keys) for n, keys in producer.topic.items()} == {0: 4, 1: 0, 2: 4, 3: 0}
    assert all(partition_of(key, PARTITIONS) == n for n, keys in producer.topic.items() for key in keys)
    assert (publisher.end_offsets, publisher.batches_sent) == ({0: 4, 2: 4}, 4)
    assert signal.ends == {(TOPIC, 0): 4, (TOPIC, 2): 4}


async def test_consumers_are_woken_also_where_a_part_cannot_be_sent() -> None:
    """What was acknowledged lies on the topic, and the relay needs a second and more to begin anew."""
    publisher, signals = a_publisher()
    signal = signals.subscribe([TOPIC])
    producer: Any = Producer(failing=1)

    with pytest.raises(KafkaError):
        await publisher.publish(producer, [event_in(0, 1), event_in(1, 1)])

    assert signal.raised.is_set()
    assert signal.ends == {(TOPIC, 0): 1}


async def test_another_broker_begins_without_progress() -> None:
    """Its offsets begin anew."""
    publisher, _ = a_publisher()
    producer: Any = Producer()
    await publisher.publish(producer, [event_in(0, 1)])

    publisher.reset()

    assert (publisher.end_offsets, publisher.batches_sent) == ({}, 0)
