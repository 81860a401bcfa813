"""A load of counts, a reader of their topic, and a subscriber: for tests of the relay and its broker."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts.consent import ConsentGiven, ConsentTicked
from services.kernel.decider.decision import Actor, Decision
from services.kernel.embedded.servers import Broker
from services.kernel.ids import new_id
from services.kernel.postgres.connections import Session, connect
from services.kernel.runtime.runtime import Runtime
from services.kernel.streams.envelopes import Envelope
from tests.apache_kafka import ApacheKafka
from tests.tally import ACTOR, START, TALLY, TENANT, Count, Tally, case_id, tallies
from tests.waiting import until

TOPIC = "samspil.consent.v1"
Fallible = Broker | ApacheKafka
"""A broker of the test's own, which may be killed."""

Line = tuple[UUID, int, str]
"""One event on the topic: its stream, its number there, its id."""


def count_of(n: int, k: int) -> UUID:
    """Return what is counted as the k-th in the n-th stream."""
    return uuid5(NAMESPACE_URL, f"{n} {k}")


def count(n: int, k: int) -> Envelope:
    """Return the command to count it."""
    cause = str(new_id())
    command = Count(count_of(n, k))
    return Envelope(case_id(n), TENANT, command, Actor(ACTOR, "caseworker", TENANT), START, cause, cause)


async def apply(runtime: Runtime, *envelope: Envelope) -> None:
    """Apply commands, again where others were always quicker."""
    while True:
        try:
            async with runtime.pool.acquire() as tx:
                await runtime.processor.process(tx, envelope)
        except asyncpg.SerializationError:
            continue
        return


async def load(runtime: Runtime, streams: int, each: int, *, first: int = 1) -> None:
    """Count in many streams, batch by batch."""
    for k in range(first, first + each):
        await apply(runtime, *(count(n, k) for n in range(streams)))


class Load:
    """Counts in many streams until it is ended."""

    def __init__(self, runtime: Runtime, streams: int, *, first: int = 0) -> None:
        self._runtime = runtime
        self._streams = range(first, first + streams)
        self._each = 0
        self._ending = False

    async def run(self) -> None:
        """Count batch by batch."""
        while not self._ending:
            await apply(self._runtime, *(count(n, self._each + 1) for n in self._streams))
            self._each += 1

    async def end(self) -> int:
        """Finish the current batch; return how often each stream was counted in."""
        self._ending = True
        await self.task
        return self._each

    task: "asyncio.Task[None]"


class Reader:
    """Reads a topic from its beginning, and keeps what it read."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self.lines: list[Line] = []
        self.watermark_partitions: list[int] = []

    async def read(self) -> None:
        """Read the records that have come."""
        for records in (await self._consumer.getmany(timeout_ms=200)).values():
            for record in records:
                headers = dict(record.headers)
                if headers["ce_type"] == ConsentTicked.type.encode():
                    self.watermark_partitions.append(record.partition)
                    continue
                seq = int(headers["ce_sequence"])
                self.lines.append((UUID(record.key.decode()), seq, headers["ce_id"].decode()))

    async def read_until(self, holds: Callable[[], bool]) -> None:
        """Read until something holds of what was read."""

        async def held() -> bool:
            await self.read()
            return holds()

        await until(held)

    def firsts(self) -> dict[UUID, list[int]]:
        """Return the numbers of each stream in the order in which they came first."""
        found: dict[UUID, dict[int, None]] = {}
        for stream_id, seq, _ in self.lines:
            found.setdefault(stream_id, {})[seq] = None
        return {stream_id: list(numbers) for stream_id, numbers in found.items()}

    def ids(self) -> set[str]:
        """Return the ids that came."""
        return {event_id for *_, event_id in self.lines}


@asynccontextmanager
async def reading(bootstrap: str, partitions: int = 4) -> AsyncIterator[Reader]:
    """Read the tally's topic while the block runs."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, fetch_max_wait_ms=50)
    await consumer.start()
    try:
        everywhere = [TopicPartition(TOPIC, n) for n in range(partitions)]
        consumer.assign(everywhere)
        await consumer.seek_to_beginning(*everywhere)
        yield Reader(consumer)
    finally:
        await consumer.stop()


def in_order(streams: int, each: int) -> dict[UUID, list[int]]:
    """Return the numbers of streams that are whole and in order."""
    return {case_id(n): list(range(1, each + 1)) for n in range(streams)}


def consume(tally: Tally | None, trigger: Any, _context: Any) -> Decision:
    """Count the events of the tally."""
    now = tally or Tally()
    return Decision(Tally((*now.seen, trigger.consent_id), now.woken))


SUBSCRIBER = replace(
    TALLY, name="agreement", decide=consume, subscribes_to=(ConsentGiven, ConsentTicked), watermark_event=None
)


async def total(runtime: Runtime) -> int:
    """Return how many events a subscriber has consumed."""
    return sum(map(len, (await tallies(runtime)).values()))


async def counted(runtime: Runtime, number: int) -> bool:
    """Return whether a subscriber has consumed so many events."""
    return await total(runtime) >= number


def all_counted(streams: int, each: int) -> dict[UUID, list[str]]:
    """Return the tallies of a subscriber that has consumed everything once and in order."""
    return {case_id(n): [str(count_of(n, k)) for k in range(1, each + 1)] for n in range(streams)}


async def pending(runtime: Runtime) -> int:
    """Return how many events wait to be sent."""
    found: int = await runtime.pool.fetchval("select coalesce(sum(cardinality(ids)), 0) from pending")
    return found


async def all_sent(runtime: Runtime) -> bool:
    """Return whether nothing waits to be sent."""
    return await pending(runtime) == 0


async def other_writer(dsn: str) -> Session:
    """Return a connection of another process."""
    return await connect(dsn, schema="consent")


async def green(runtime: Runtime) -> bool:
    """Return whether the service is ready."""
    return await runtime.unready_reasons() == {}
