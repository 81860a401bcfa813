"""Consumed offsets: committed to Kafka about once a second, after the database, and measured as lag."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from services.kernel import metrics
from services.kernel.crash_points import crash_point
from services.kernel.kafka.clients import position
from services.kernel.kafka.signals import TopicPartitionKey
from services.kernel.logging import log

_COMMIT_SECONDS: Final = 1.0
_TIMEOUT_SECONDS: Final = 5.0

_Running: TypeAlias = Callable[[], AIOKafkaConsumer | None]
"""Returns the consumer that runs."""


class ConsumedOffsets:
    """Offsets behind the last event of each partition that the database holds."""

    def __init__(
        self,
        service: str,
        topics: Iterable[str],
        consumer: _Running,
        *,
        commits: bool,
    ) -> None:
        """Commit them, where the broker keeps them, over the consumer that runs."""
        self._name = service
        self._topics = tuple(topics)
        self._consumer = consumer
        self._commits = commits
        self._uncommitted: dict[TopicPartition, int] = {}
        self._committed_at = 0.0
        self._ends: Mapping[TopicPartition, int] = {}
        self.consumed: dict[TopicPartition, int] = {}

    def record(self, ends: Mapping[TopicPartitionKey, int]) -> None:
        """Record that the database holds everything before these offsets."""
        stored = {TopicPartition(*partition): end for partition, end in ends.items()}
        self._uncommitted.update(stored)
        self.consumed.update(stored)

    def revoke(self, partitions: Iterable[TopicPartition]) -> None:
        """Commit nothing more of partitions that are another member's."""
        for partition in partitions:
            self._uncommitted.pop(partition, None)

    async def commit(self) -> None:
        """Commit the offsets of what the database holds; a failure costs only repetition."""
        stored, self._uncommitted = self._uncommitted, {}
        self._committed_at = time.monotonic()
        consumer = self._consumer()
        if not stored or consumer is None or not self._commits:
            return
        try:
            crash_point("offsets.before")
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                await consumer.commit(stored)
            crash_point("offsets.after")
        except (KafkaError, TimeoutError, ValueError) as fault:
            log.warning("offsets_not_committed", service=self._name, kind=type(fault).__name__)

    async def commit_loop(self) -> None:
        """Commit offsets and measure the lag, once a second, for as long as the task lives."""
        while True:
            await asyncio.sleep(_COMMIT_SECONDS)
            if time.monotonic() - self._committed_at >= _COMMIT_SECONDS:
                await self.commit()
            self._measure_lag()

    async def refresh_ends(self) -> None:
        """Refresh the end offsets: of a consumer stuck with a batch the lag would stay constant."""
        consumer = self._consumer()
        if consumer is None or not consumer.assignment():
            return
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                self._ends = await consumer.end_offsets(consumer.assignment())
        except (KafkaError, TimeoutError) as fault:
            log.warning("end_offsets_unavailable", service=self._name, kind=type(fault).__name__)

    def _measure_lag(self) -> None:
        consumer = self._consumer()
        if consumer is None:
            return
        lag = dict.fromkeys(self._topics, 0)
        for partition in consumer.assignment():
            high = consumer.highwater(partition)
            end = consumer.last_stable_offset(partition) if high is None else high
            end = max(end or 0, self._ends.get(partition, 0))
            offset = position(consumer, partition)
            if offset is not None:
                lag[partition.topic] += max(0, end - offset)
        for topic, behind in lag.items():
            metrics.LAG.labels(self._name, topic).set(behind)
