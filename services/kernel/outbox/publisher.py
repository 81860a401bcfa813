"""Event publisher: send events to their partitions, in order, until the broker has acknowledged them."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaProducer

from contracts.event import topic_of
from services.kernel import metrics
from services.kernel.crash_points import crash_point
from services.kernel.decider.decision import SYSTEM
from services.kernel.decider.service import EventMetadata, Service
from services.kernel.errors import ProblemError
from services.kernel.ids import new_id
from services.kernel.kafka.clients import LARGEST_BATCH
from services.kernel.kafka.cloudevents import OutgoingEvent
from services.kernel.kafka.partitioner import key_in, partition_of
from services.kernel.kafka.signals import Signals
from services.kernel.settings import Settings


class EventTooLarge(ProblemError):
    """An event is larger than a batch may be."""


class Publisher:
    """Publishes the events of one service; `end_offsets` and `batches_sent` are its progress on the topic."""

    def __init__(self, service: Service, settings: Settings, signals: Signals) -> None:
        """Publish to the service's topic."""
        self._service = service
        self._settings = settings
        self._signals = signals
        self._topic = topic_of(service.name)
        self._seconds = metrics.RELAY_SECONDS.labels(service.name)
        self._sent = metrics.SENT.labels(service.name)
        self._watermark_sent_at = 0.0
        self.end_offsets: dict[int, int] = {}
        self.batches_sent = 0

    def reset(self) -> None:
        """Forget the progress: another, empty broker replaces the last one."""
        self.end_offsets.clear()
        self.batches_sent = 0

    async def publish(self, producer: AIOKafkaProducer, events: Sequence[OutgoingEvent]) -> None:
        """Send events, and return when all of them are acknowledged."""
        started_at = time.perf_counter()
        crash_point("publish.before")
        await self._send(producer, events)
        crash_point("publish.after")
        self._seconds.observe(time.perf_counter() - started_at)
        self._sent.inc(len(events))
        crash_point("delete.before")

    async def publish_watermarks(self, producer: AIOKafkaProducer, at: datetime) -> None:
        """Send a watermark to each partition, once an interval: all committed before `at` precedes it."""
        kind = self._service.watermark_event
        if kind is None or time.monotonic() - self._watermark_sent_at < self._settings.watermark_seconds:
            return
        self._watermark_sent_at = time.monotonic()
        count = self._settings.partitions
        cause = str(new_id())
        meta = EventMetadata(at, str(SYSTEM), "system", cause, cause)
        watermarks: list[OutgoingEvent] = []
        for partition in range(count):
            body = kind(partition=partition, at=at).model_dump_json().encode()
            subject = key_in(partition, count, self._service.name)
            watermarks.append(OutgoingEvent(str(new_id()), subject, 0, "0000", kind.type, meta, body))
        await self._send(producer, watermarks)

    async def _send(self, producer: AIOKafkaProducer, events: Sequence[OutgoingEvent]) -> None:
        """Send per partition and in order; consumers are woken also where a part of it fails."""
        partitions = self._settings.partitions
        parts: dict[int, list[OutgoingEvent]] = defaultdict(list)
        for event in events:
            parts[partition_of(event.key.encode(), partitions)].append(event)
        try:
            async with asyncio.timeout(self._settings.limits.relay_ack_seconds):
                if len(parts) == 1:
                    ((partition, part),) = parts.items()
                    await self._send_partition(producer, partition, part)
                else:
                    await asyncio.gather(*(self._send_partition(producer, *one) for one in parts.items()))
        finally:
            self._signals.notify(self._topic, self.end_offsets)

    async def _send_partition(
        self, producer: AIOKafkaProducer, partition: int, events: Sequence[OutgoingEvent]
    ) -> None:
        # The next batch of a partition waits for the acknowledgement of the last one: a batch that fails must
        # not be overtaken, whatever the broker promises.
        batch = producer.create_batch()
        for event in events:
            message = event.message()
            if batch.append(key=message.key, value=message.value, timestamp=None, headers=message.headers):
                continue
            await self._send_batch(producer, batch, partition)
            batch = producer.create_batch()
            if not batch.append(
                key=message.key, value=message.value, timestamp=None, headers=message.headers
            ):
                raise EventTooLarge(f"one event of type {message.type} is larger than {LARGEST_BATCH} bytes")
        await self._send_batch(producer, batch, partition)

    async def _send_batch(self, producer: AIOKafkaProducer, batch: Any, partition: int) -> None:
        count = batch.record_count()
        acknowledged = await (await producer.send_batch(batch, self._topic, partition=partition))
        self.end_offsets[partition] = acknowledged.offset + count
        self.batches_sent += 1
        crash_point("publish.between")
