"""Let go of the oldest days of a service's log, once they are past keeping and everybody has heard them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, timedelta
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from contracts.event import topic_of
from services.kernel.clock import wall
from services.kernel.decider.service import Service
from services.kernel.kafka.clients import admin, consumer
from services.kernel.logging import log
from services.kernel.outbox.relay import Relay
from services.kernel.postgres.connections import Pool, is_transient
from services.kernel.settings import Settings

_ACTIVE_GROUP_STATES: Final = "samspil."

EndOffsets = dict[TopicPartition, int]
"""Up to which offset each partition had been written, or read."""


class LogRetention:
    """Drops days of the log in two looks.

    The first finds nothing of the old days left to be sent, and notes how far the topic reaches. The second,
    an hour later, drops them if every service that hears this one has committed offsets as far as that. A day
    that somebody may yet miss is kept, however old it is.
    """

    def __init__(self, service: Service, settings: Settings, pool: Pool, relay: Relay) -> None:
        """Keep the log of one service; only the process that leads its relay looks."""
        self._service = service
        self._settings = settings
        self._pool = pool
        self._relay = relay
        self._previous: tuple[date, EndOffsets] | None = None

    async def run_once(self) -> int:
        """Drop what may go, note what may go next time, and return how many days were dropped."""
        wanted = self._settings.log_days and self._settings.broker == "kafka"
        if not wanted or self._service.subscribers is None or not self._relay.is_leader:
            self._previous = None
            return 0
        try:
            async with self._asking() as clients:
                return await self._run_with(*clients)
        except (KafkaError, TimeoutError) as fault:
            log.warning("log_retention_postponed", service=self._service.name, kind=type(fault).__name__)
        except Exception as fault:
            if not is_transient(fault):
                raise
            log.warning("log_retention_postponed", service=self._service.name, kind=type(fault).__name__)
        return 0

    async def _run_with(self, asking: AIOKafkaAdminClient, reading: AIOKafkaConsumer) -> int:
        dropped = 0
        if self._previous is not None and await self._all_consumed(asking, self._previous[1]):
            dropped = await self._pool.fetchval("select drop_event_log_partitions($1)", self._previous[0])
            if dropped:
                log.info("log_partitions_dropped", service=self._service.name, days=dropped)
        before = wall().date() - timedelta(days=self._settings.log_days)
        waits = await self._pool.fetchval("select exists (select from pending where created_on < $1)", before)
        self._previous = None if waits else (before, await reading.end_offsets(self._partitions()))
        return dropped

    async def _all_consumed(self, asking: AIOKafkaAdminClient, reach: EndOffsets) -> bool:
        for hearer in self._service.subscribers or ():
            found = await asking.list_consumer_group_offsets(
                _ACTIVE_GROUP_STATES + hearer, partitions=list(reach)
            )
            if any(end and (place not in found or found[place].offset < end) for place, end in reach.items()):
                return False
        return True

    def _partitions(self) -> list[TopicPartition]:
        topic = topic_of(self._service.name)
        return [TopicPartition(topic, n) for n in range(self._settings.partitions)]

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[tuple[AIOKafkaAdminClient, AIOKafkaConsumer]]:
        asking, reading = admin(self._settings), consumer(self._settings)
        try:
            await asking.start()
            await reading.start()
            yield asking, reading
        finally:
            await reading.stop()
            await asking.close()
