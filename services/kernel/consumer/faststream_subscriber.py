"""Fetch in batches, unread and undecoded, and wait for the first of what comes."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, cast

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import ConsumerStoppedError, KafkaError
from faststream.kafka import KafkaMessage
from faststream.kafka.subscriber.usecase import BatchSubscriber

from services.kernel.consumer.decoding import DecodedBatch, EventDecoder
from services.kernel.kafka.clients import close_on_cancel
from services.kernel.kafka.cloudevents import Message, record_of
from services.kernel.kafka.wakeups import TopicSignal
from services.kernel.logging import log

_AT_ONCE: Final = 64
_LISTEN_MS: Final = 1_000
_LISTEN_BRIEFLY_MS: Final = 50
_REST_SECONDS: Final = 5.0


class PollTarget(Protocol):
    """Whom a subscriber fetches for; with a bell everything it hears is sent by its own process."""

    signal: TopicSignal | None
    decoder: EventDecoder
    more_expected: bool
    polled_at: float


class EagerBatchSubscriber(BatchSubscriber):
    """A FastStream batch subscriber without the pause after an empty fetch: docs/decisions/consumer.md."""

    __slots__ = ()

    @property
    def builder(self) -> Callable[..., AIOKafkaConsumer]:
        """Make a consumer that leaves nothing open where its start is cancelled."""
        build = super().builder
        return lambda **how: close_on_cancel(build(**how))

    async def get_msg(self, consumer: AIOKafkaConsumer) -> Any:
        """Return what has come, waiting for the first of it."""
        intake = cast("PollTarget", self._listener)
        batch = DecodedBatch()
        if intake.signal is None:
            await fetch_batch(
                consumer, intake.decoder, batch, most=self.max_records or _AT_ONCE, wait_ms=_LISTEN_MS
            )
        else:
            await self._take_when_rung(consumer, intake, intake.signal, batch)
        intake.polled_at = time.monotonic()
        return (batch,) if batch.count else ()

    async def _take_when_rung(
        self, consumer: AIOKafkaConsumer, intake: "PollTarget", bell: TopicSignal, batch: DecodedBatch
    ) -> None:
        """Fetch while there is more, and then nothing until a relay of this process rings, or for a while.

        Whatever is sent during a fetch rings after the bell was silenced.
        """
        if not intake.more_expected:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_REST_SECONDS):
                    await bell.raised.wait()
        bell.raised.clear()
        consumer.resume(*consumer.assignment())
        await fetch_batch(
            consumer, intake.decoder, batch, most=self.max_records or _AT_ONCE, wait_ms=_LISTEN_BRIEFLY_MS
        )
        intake.more_expected = has_unfetched(consumer, bell.ends)
        if not intake.more_expected:
            consumer.pause(*consumer.assignment())


async def fetch_batch(
    consumer: AIOKafkaConsumer, decoder: EventDecoder, batch: DecodedBatch, *, most: int, wait_ms: int
) -> None:
    """Read into a batch what has come, up to so many records, waiting for the first of them.

    Few are taken at a time, read and let go of: they are many objects, and dear once they have left the
    processor's cache. Raises `KafkaError` where nothing could be taken.
    """
    places = _positions(consumer)
    while batch.count < most:
        try:
            found = await consumer.getmany(timeout_ms=wait_ms, max_records=min(_AT_ONCE, most - batch.count))
        except ConsumerStoppedError:
            raise
        except Exception as fault:
            _rewind(consumer, {**places, **batch.ends})
            if batch.count:
                return  # what was taken is taken; who asks again is told again
            if isinstance(fault, KafkaError):
                raise
            # Whoever fetches goes on after faults of Kafka alone; this one says no more than its kind.
            log.error("record_unreadable", kind=type(fault).__name__)
            raise KafkaError(type(fault).__name__) from None
        if not found:
            return
        began = time.perf_counter()
        for records in found.values():
            decoder.read(records, batch)
        del found, records
        batch.seconds += time.perf_counter() - began
        wait_ms = 0


def _positions(consumer: AIOKafkaConsumer) -> dict[tuple[str, int], int]:
    """Return the places of the next records, as far as they are known."""
    places = {partition: position_of(consumer, partition) for partition in consumer.assignment()}
    return {partition: place for partition, place in places.items() if place is not None}


def _rewind(consumer: AIOKafkaConsumer, positions: Mapping[tuple[str, int], int]) -> None:
    """Return to places: a fetch that breaks lets go of what it had in hand, also of other partitions."""
    for name, place in positions.items():
        partition = TopicPartition(*name)
        if partition in consumer.assignment() and position_of(consumer, partition) != place:
            consumer.seek(partition, place)


def has_unfetched(consumer: AIOKafkaConsumer, ends: Mapping[tuple[str, int], int]) -> bool:
    """Return whether the broker holds more than was fetched, or has not said; `ends` are known to be there.

    A fetch that takes longer than it is waited for has found nothing so far, which says nothing.
    """
    for partition in consumer.assignment():
        place, high = position_of(consumer, partition), consumer.highwater(partition)
        if place is None or high is None or place < max(high, ends.get(partition, 0)):
            return True
    return False


def position_of(consumer: AIOKafkaConsumer, partition: TopicPartition) -> int | None:
    """Return the place of the next record that will be taken; nothing while it is not known yet."""
    state = consumer._subscription.subscription.assignment.state_value(partition)  # noqa: SLF001  the public call waits
    return state.position if state is not None and state.has_valid_position else None


async def passthrough_parser(taken: tuple[DecodedBatch], original: Any) -> KafkaMessage:
    """Let FastStream wrap a batch without reading it: one bad header must not keep it from us."""
    (batch,) = taken
    (topic, partition), end = next(iter(batch.ends.items()))
    bare = record_of((topic, partition, end - 1), b"", Message("", b"", b"", []))
    message: KafkaMessage = await original((bare,))
    message.raw_message = taken
    return message


async def passthrough_decoder(message: KafkaMessage) -> Any:
    """Leave the bodies to us."""
    return message
