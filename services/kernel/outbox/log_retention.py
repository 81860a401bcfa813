"""Log retention: drop event-log partitions after the retention period, once all subscribers consumed them."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import date, timedelta
from typing import Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from contracts.event import topic_of
from services.kernel.clock import wall_time
from services.kernel.decider.service import Service
from services.kernel.kafka.clients import admin, consumer
from services.kernel.logging import log
from services.kernel.postgres.connections import Pool, is_transient
from services.kernel.settings import Settings

_GROUP_PREFIX: Final = "samspil."

Offsets = Mapping[TopicPartition, int]
"""Offsets by partition: the end of each, or up to where a group has committed."""


class Candidate(NamedTuple):
    """Days that may be dropped later: those before a date, once all groups have read up to the ends."""

    before: date
    ends: Offsets


def is_consumed(ends: Offsets, committed: Mapping[str, Offsets]) -> bool:
    """Return whether every group has committed up to every end; an empty partition needs no commit."""
    return all(
        offsets.get(partition, -1) >= end
        for offsets in committed.values()
        for partition, end in ends.items()
        if end
    )


def next_candidate(before: date, ends: Offsets, *, pending: bool) -> Candidate | None:
    """Return what the next run may drop; nothing while events of those days are still to be sent."""
    return None if pending else Candidate(before, ends)


class LogRetention:
    """Drops days of the log in two runs.

    The first finds nothing of the old days left to be sent, and remembers the end offsets of the topic. The
    second, an hour later, drops those days if every subscriber has committed offsets up to these ends. A day
    that a subscriber may still need is kept, however old it is.
    """

    def __init__(
        self, service: Service, settings: Settings, pool: Pool, is_leader: Callable[[], bool]
    ) -> None:
        """Keep the log of one service; only the process that leads its relay runs."""
        self._service = service
        self._settings = settings
        self._pool = pool
        self._is_leader = is_leader
        self._candidate: Candidate | None = None

    async def run_once(self) -> int:
        """Drop the last run's candidate, remember the next, and return how many days were dropped."""
        wanted = self._settings.log_days and self._settings.broker == "kafka"
        if not wanted or self._service.subscribers is None or not self._is_leader():
            self._candidate = None
            return 0
        try:
            async with self._clients() as clients:
                return await self._run_with(*clients)
        except (KafkaError, TimeoutError) as fault:
            log.warning("log_retention_postponed", service=self._service.name, kind=type(fault).__name__)
        except Exception as fault:
            if not is_transient(fault):
                raise
            log.warning("log_retention_postponed", service=self._service.name, kind=type(fault).__name__)
        return 0

    async def _run_with(self, groups: AIOKafkaAdminClient, topic: AIOKafkaConsumer) -> int:
        dropped, candidate = 0, self._candidate
        if candidate is not None and is_consumed(
            candidate.ends, await self._committed(groups, candidate.ends)
        ):
            dropped = await self._pool.fetchval("select drop_event_log_partitions($1)", candidate.before)
            if dropped:
                log.info("log_partitions_dropped", service=self._service.name, days=dropped)
        before = wall_time().date() - timedelta(days=self._settings.log_days)
        pending = await self._pool.fetchval(_PENDING_BEFORE, before)
        ends: Offsets = {} if pending else await topic.end_offsets(self._partitions())
        self._candidate = next_candidate(before, ends, pending=pending)
        return dropped

    async def _committed(self, groups: AIOKafkaAdminClient, ends: Offsets) -> dict[str, Offsets]:
        committed: dict[str, Offsets] = {}
        for subscriber in self._service.subscribers or ():
            found = await groups.list_consumer_group_offsets(
                _GROUP_PREFIX + subscriber, partitions=list(ends)
            )
            committed[subscriber] = {partition: at.offset for partition, at in found.items()}
        return committed

    def _partitions(self) -> list[TopicPartition]:
        topic = topic_of(self._service.name)
        return [TopicPartition(topic, n) for n in range(self._settings.partitions)]

    @asynccontextmanager
    async def _clients(self) -> AsyncIterator[tuple[AIOKafkaAdminClient, AIOKafkaConsumer]]:
        groups, topic = admin(self._settings), consumer(self._settings)
        try:
            await groups.start()
            await topic.start()
            yield groups, topic
        finally:
            await topic.stop()
            await groups.close()


_PENDING_BEFORE: Final = "select exists (select from pending where created_on < $1)"
