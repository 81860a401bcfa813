"""Polling: fetch records in small batches, decode each at once, and rest while nothing more is there."""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import ConsumerStoppedError, KafkaError

from services.kernel.consumer.decoding import DecodedBatch, EventDecoder
from services.kernel.kafka.clients import position
from services.kernel.kafka.signals import TopicPartitionKey, TopicSignal
from services.kernel.logging import log

_CHUNK: Final = 64
_WAIT_MS: Final = 1_000
_SHORT_WAIT_MS: Final = 50
_REST_SECONDS: Final = 5.0


class Poller:
    """Polls for one consumer; with a signal it fetches only while there is more, or when it is woken."""

    def __init__(self, decoder: EventDecoder, signal: TopicSignal | None, most: int) -> None:
        """Poll for at most so many records at once."""
        self._decoder = decoder
        self._signal = signal
        self._most = most
        self._more_expected = True
        self.polled_at = time.monotonic()

    async def poll(self, consumer: AIOKafkaConsumer) -> DecodedBatch:
        """Return the records that have come, waiting for the first of them; raise `KafkaError`."""
        batch = DecodedBatch()
        if self._signal is None:
            await fetch_batch(consumer, self._decoder, batch, most=self._most, wait_ms=_WAIT_MS)
        else:
            await self._poll_on_signal(consumer, self._signal, batch)
        self.polled_at = time.monotonic()
        return batch

    async def _poll_on_signal(
        self, consumer: AIOKafkaConsumer, signal: TopicSignal, batch: DecodedBatch
    ) -> None:
        """Rest until the signal is raised or a while has passed, then fetch.

        The signal is lowered before the fetch: whatever is sent from here on raises it again.
        """
        if not self._more_expected:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_REST_SECONDS):
                    await signal.raised.wait()
        signal.raised.clear()
        self._more_expected = True  # also where the fetch fails
        consumer.resume(*consumer.assignment())
        await fetch_batch(consumer, self._decoder, batch, most=self._most, wait_ms=_SHORT_WAIT_MS)
        self._more_expected = has_unfetched(consumer, signal.ends)
        if not self._more_expected:
            consumer.pause(*consumer.assignment())


async def fetch_batch(
    consumer: AIOKafkaConsumer, decoder: EventDecoder, batch: DecodedBatch, *, most: int, wait_ms: int
) -> None:
    """Read into a batch the records that have come, up to so many, waiting for the first of them.

    They are fetched and decoded in small chunks: many objects are expensive once they have left the
    processor's cache. Raises `KafkaError` where nothing could be fetched.
    """
    positions = _positions(consumer)
    while batch.count < most:
        try:
            found = await consumer.getmany(timeout_ms=wait_ms, max_records=min(_CHUNK, most - batch.count))
        except ConsumerStoppedError:
            raise
        except Exception as fault:
            _rewind(consumer, {**positions, **batch.ends})
            if batch.count:
                return  # what was decoded stays; the next fetch meets the error again
            if isinstance(fault, KafkaError):
                raise
            # The loop around this one survives errors of Kafka alone; the record itself is not logged.
            log.error("record_unreadable", kind=type(fault).__name__)
            raise KafkaError(type(fault).__name__) from None
        if not found:
            return
        started_at = time.perf_counter()
        for records in found.values():
            decoder.read(records, batch)
        del found, records
        batch.seconds += time.perf_counter() - started_at
        wait_ms = 0


def _positions(consumer: AIOKafkaConsumer) -> dict[TopicPartitionKey, int]:
    """Return the offsets of the next records, where there are any."""
    offsets = {partition: position(consumer, partition) for partition in consumer.assignment()}
    return {partition: offset for partition, offset in offsets.items() if offset is not None}


def _rewind(consumer: AIOKafkaConsumer, positions: Mapping[TopicPartitionKey, int]) -> None:
    """Seek back: a fetch that fails loses the records it held, also those of other partitions."""
    for name, offset in positions.items():
        partition = TopicPartition(*name)
        if partition in consumer.assignment() and position(consumer, partition) != offset:
            consumer.seek(partition, offset)


def has_unfetched(consumer: AIOKafkaConsumer, ends: Mapping[TopicPartitionKey, int]) -> bool:
    """Return whether the broker may hold more than was fetched; `ends` are offsets that it has acknowledged.

    A fetch that was not answered in time says nothing, and neither does a consumer without partitions.
    """
    assignment = consumer.assignment()
    for partition in assignment:
        offset, high = position(consumer, partition), consumer.highwater(partition)
        if offset is None or high is None or offset < max(high, ends.get(partition, 0)):
            return True
    return not assignment
