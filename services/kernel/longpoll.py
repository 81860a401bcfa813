"""Fetch in batches, unread and undecoded, and wait for the first of what comes."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from faststream.kafka import KafkaMessage
from faststream.kafka.subscriber.usecase import BatchSubscriber

from services.kernel.messages import Record
from services.kernel.wire import tidy

_LISTEN_MS: Final = 1_000
_LISTEN_BRIEFLY_MS: Final = 50
_REST_SECONDS: Final = 5.0


class Hearer(Protocol):
    """Whom a subscriber fetches for; with a bell everything it hears is sent by its own process."""

    bell: asyncio.Event | None
    more: bool
    polled_at: float


class LongPoll(BatchSubscriber):
    """FastStream's batch subscriber without its deaf pause after an empty fetch (see DECISIONS)."""

    __slots__ = ()

    @property
    def builder(self) -> Callable[..., AIOKafkaConsumer]:
        """Make a consumer that leaves nothing open where its start is cancelled."""
        build = super().builder
        return lambda **how: tidy(build(**how))

    async def get_msg(self, consumer: AIOKafkaConsumer) -> tuple[Record, ...]:
        """Return what has come, waiting for the first of it."""
        intake = cast("Hearer", self._listener)
        if intake.bell is None:
            found = await consumer.getmany(timeout_ms=_LISTEN_MS, max_records=self.max_records)
        else:
            found = await self._get_when_rung(consumer, intake, intake.bell)
        intake.polled_at = time.monotonic()
        return tuple(record for records in found.values() for record in records)

    async def _get_when_rung(self, consumer: AIOKafkaConsumer, intake: "Hearer", bell: asyncio.Event) -> Any:
        """Fetch while there is more, and then nothing until a relay of this process rings, or for a while.

        Whatever is sent during a fetch rings after the bell was silenced.
        """
        if not intake.more:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_REST_SECONDS):
                    await bell.wait()
        bell.clear()
        consumer.resume(*consumer.assignment())
        found = await consumer.getmany(timeout_ms=_LISTEN_BRIEFLY_MS, max_records=self.max_records)
        intake.more = is_behind(consumer)
        if not intake.more:
            consumer.pause(*consumer.assignment())
        return found


def is_behind(consumer: AIOKafkaConsumer) -> bool:
    """Return whether the broker was seen to hold more than was fetched."""
    return any(
        (consumer.highwater(partition) or 0) > (position_of(consumer, partition) or 0)
        for partition in consumer.assignment()
    )


def position_of(consumer: AIOKafkaConsumer, partition: TopicPartition) -> int | None:
    """Return the place of the next record that will be taken; nothing while it is not known yet."""
    state = consumer._subscription.subscription.assignment.state_value(partition)  # noqa: SLF001  the public call waits
    return state.position if state is not None and state.has_valid_position else None


async def unparsed(records: tuple[Record, ...], original: Any) -> KafkaMessage:
    """Let FastStream wrap a batch without reading it: one bad header must not keep it from us."""
    first = records[0]
    bare: Record = ConsumerRecord(
        topic=first.topic,
        partition=first.partition,
        offset=first.offset,
        timestamp=first.timestamp,
        timestamp_type=first.timestamp_type,
        key=None,
        value=b"",
        checksum=None,
        serialized_key_size=0,
        serialized_value_size=0,
        headers=(),
    )
    message: KafkaMessage = await original((bare,))
    message.raw_message = records
    return message


async def undecoded(message: KafkaMessage) -> Any:
    """Leave the bodies to us."""
    return message
