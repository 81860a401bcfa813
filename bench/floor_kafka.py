"""The floor's topics, groups and producer, on Apache Kafka or on the embedded broker."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from bench.hop import HOPS

_BATCH_BYTES: Final = 512 * 1024  # a broker refuses a batch of more than 1 MiB
_FETCH_BYTES: Final = 4 * 1024 * 1024
_EMBEDDED_FETCH_WAIT_MS: Final = 20  # the embedded broker does not wake a waiting fetch
_HOUR_MS: Final = 3_600_000  # between its runs the floor takes nothing


@dataclass(frozen=True)
class Wire:
    """A broker, and what the floor's topics and groups on it are called."""

    bootstrap: str
    kafka: bool
    prefix: str
    partitions: int

    def topic(self, kind: str) -> str:
        """Return the topic of an event type."""
        return f"{self.prefix}.{kind}"

    def producer(self) -> AIOKafkaProducer:
        """Return a producer; the embedded broker cannot do idempotence."""
        return AIOKafkaProducer(
            bootstrap_servers=self.bootstrap,
            enable_idempotence=self.kafka,
            acks="all",
            max_batch_size=_BATCH_BYTES,
        )

    def consumer(self, service: str) -> AIOKafkaConsumer:
        """Return the consumer of all topics that a service subscribes to."""
        wait = {} if self.kafka else {"fetch_max_wait_ms": _EMBEDDED_FETCH_WAIT_MS}
        return AIOKafkaConsumer(
            *(self.topic(kind) for kind, hearer in HOPS if hearer == service),
            bootstrap_servers=self.bootstrap,
            group_id=f"{self.prefix}.{service}",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=_FETCH_BYTES,
            max_poll_interval_ms=_HOUR_MS,
            **wait,
        )

    async def make_topics(self) -> None:
        """Create a topic for each event type."""
        async with self._admin() as admin:
            await admin.create_topics([NewTopic(name, self.partitions, 1) for name in self._topics()])

    async def remove_topics(self) -> None:
        """Delete the topics."""
        async with self._admin() as admin:
            await admin.delete_topics(self._topics())

    def _topics(self) -> list[str]:
        return [self.topic(kind) for kind, _ in HOPS]

    @asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            yield admin
        finally:
            await admin.close()
