"""The floor's relay: whole batches to Kafka, from the memory of the process that wrote the outbox."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from operator import itemgetter

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import murmur2
from aiokafka.producer.message_accumulator import BatchBuilder

from bench.floor_kafka import Wire
from bench.floor_store import Connection, forget
from bench.hop import Outgoing, headers_of
from bench.load import InvalidRunError

Filled = tuple[int, str, int, BatchBuilder]
"""How many batches of the same partition go before it, topic, partition, batch."""


class Relay:
    """Sends what was committed and deletes it from the outbox once acknowledged, one round at a time.

    A round takes all that waits, so rounds grow under load; the deletes of one go along with the next.
    """

    def __init__(self, producer: AIOKafkaProducer, outbox: Connection, wire: Wire) -> None:
        """Send by `producer` to the topics of `wire`, delete by `outbox`."""
        self._producer = producer
        self._outbox = outbox
        self._wire = wire
        self._waiting: list[tuple[int, Sequence[Outgoing]]] = []
        self._work = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def take(self, batch: int, events: Sequence[Outgoing]) -> None:
        """Take the events of a committed batch, to be sent before what is taken later."""
        self._waiting.append((batch, events))
        self._idle.clear()
        self._work.set()

    async def drained(self) -> None:
        """Wait until all that was taken is sent and deleted."""
        await self._idle.wait()

    async def run(self) -> None:
        """Send and delete for ever."""
        sent: list[int] = []
        while True:
            if not self._waiting and not sent:
                self._idle.set()
                self._work.clear()
                await self._work.wait()
            taken, self._waiting = self._waiting, []
            deleting = asyncio.create_task(forget(self._outbox, sent)) if sent else None
            if taken:
                await self.submit(self.filled([event for _, events in taken for event in events]))
            if deleting is not None:
                await deleting
            sent = [batch for batch, _ in taken]

    def filled(self, events: Sequence[Outgoing]) -> list[Filled]:
        """Write events into the batches of their topics and partitions, in order."""
        groups: dict[tuple[str, int], list[Outgoing]] = defaultdict(list)
        for event in events:
            groups[event.kind.type, partition_of(event.case, self._wire.partitions)].append(event)
        batches: list[Filled] = []
        for (kind, partition), group in groups.items():
            batches.extend(self._filled(self._wire.topic(kind), partition, group))
        return sorted(batches, key=itemgetter(0))

    async def submit(self, batches: Sequence[Filled]) -> None:
        """Send batches and wait until the broker has them all."""
        acknowledged = [
            await self._producer.send_batch(batch, topic, partition=partition)
            for _, topic, partition, batch in batches
        ]
        for one in acknowledged:
            await one

    def _filled(self, topic: str, partition: int, events: Sequence[Outgoing]) -> list[Filled]:
        now = time.time_ns() // 1_000_000
        batch = self._producer.create_batch()
        batches = [(0, topic, partition, batch)]
        for event in events:
            key, value, headers = event.case, event.body, headers_of(event)
            if batch.append(timestamp=now, key=key, value=value, headers=headers) is None:
                batch = self._producer.create_batch()
                batches.append((len(batches), topic, partition, batch))
                if batch.append(timestamp=now, key=key, value=value, headers=headers) is None:
                    raise InvalidRunError("an event is larger than a batch")
        return batches


@lru_cache(maxsize=1 << 17)
def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition that every Kafka client would choose; cached, as a case repeats."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)
