"""The floor: the six hops of a case by hand, with nothing but aiokafka, asyncpg and msgspec.

A batch of events is one SQL statement (dedup, guarded state, audit, outbox) and one fsync; what follows from
it goes to Kafka from memory. No rules, no sealing, no traces, no parking: what our own path costs is measured
against this, in the same process, on the same servers, interleaved.
"""

import argparse
import asyncio
import logging
import time
import uuid
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any, Final

import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition

from bench import floor_store as store
from bench.figures import HEADING, latency_line, median_line, run_line
from bench.floor_kafka import Wire
from bench.floor_relay import Relay
from bench.hop import SERVICES, STEPS, Batch, Record, fresh_ids, opened
from bench.load import (
    InvalidRunError,
    Latency,
    Meter,
    Progress,
    Run,
    arrivals,
    pin,
    seconds_of,
    settle,
    watch_postgres,
)
from bench.servers import servers

_WARM_UP_CASES: Final = 200
_STALLED_SECONDS: Final = 30.0
_OFFSETS_EVERY_SECONDS: Final = 1.0
_WAIT_MS: Final = 1000
_CHUNK: Final = 64  # read and let go of few records at a time: their many small parts stay in the cache


class Floor:
    """Four services on one event loop: a consumer and a connection each, and one relay for all."""

    def __init__(self, prefix: str = "floor", partitions: int = 4, batch: int = 500) -> None:
        """Name the topics and groups; a service stops taking events once it has `batch` of them."""
        self._prefix = f"{prefix}.{uuid.uuid4().hex[:8]}"
        self._partitions = partitions
        self._batch = batch
        self._resources = AsyncExitStack()
        self._consumers: dict[str, AIOKafkaConsumer] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._waits: list[float] | None = None
        self._expected = 0
        self._moved = 0
        self._progress = Progress()
        self._done = asyncio.Event()

    async def start(self, dsn: str, bootstrap: str, kafka: bool) -> None:  # noqa: FBT001 - which broker it is
        """Make tables and topics, join the groups, and warm up; `kafka` says Apache Kafka."""
        wire = Wire(bootstrap, kafka, self._prefix, self._partitions)
        try:
            await self._open(dsn, wire)
            await self.run(_WARM_UP_CASES)
        except BaseException:
            await self.stop()
            raise
        settle()

    async def run(self, cases: int) -> Run:
        """Work a closed batch off; the clock starts when the first events, made before, are sent."""
        ids = fresh_ids(cases)
        await self._begin(cases)
        await store.admit(self._admission, ids)
        first = self._relay.filled(opened(ids))
        meter, self._progress = Meter(), Progress()
        await self._relay.submit(first)
        await self._finish()
        figures = meter.run(STEPS * cases, self._progress.last, self._progress.longest_gap)
        await self._end(cases)
        return figures

    async def open_load(self, cases_per_second: float, seconds: float) -> Latency:
        """Let cases arrive evenly spaced, each written and sent when it is due."""
        cases = round(cases_per_second * seconds)
        await self._begin(cases)
        waits: list[float] = []
        self._waits = waits
        meter = Meter()
        async for due in arrivals(cases_per_second, seconds):
            ids = fresh_ids(due)
            await store.admit(self._admission, ids)
            await self._relay.submit(self._relay.filled(opened(ids)))
        await self._finish()
        figures = meter.latency(cases_per_second, waits)
        self._waits = None
        await self._end(cases)
        return figures

    async def stop(self) -> None:
        """Leave the groups, and take tables and topics away."""
        await self._resources.aclose()

    async def _open(self, dsn: str, wire: Wire) -> None:
        await wire.make_topics()
        self._resources.push_async_callback(wire.remove_topics)
        await store.make_tables(dsn)
        self._resources.push_async_callback(store.drop_tables, dsn)
        self._admission = await self._connect(dsn, durable=True)
        producer = wire.producer()
        self._resources.push_async_callback(producer.stop)
        await producer.start()
        self._relay = Relay(producer, await self._connect(dsn, durable=False), wire)
        hops = {service: await store.prepare(await self._connect(dsn, durable=True)) for service in SERVICES}
        await asyncio.gather(*(self._join(service, wire) for service in SERVICES))
        self._resources.push_async_callback(self._end_tasks)
        self._task("relay", self._relay.run())
        for service, hop in hops.items():
            self._task(service, self._serve(service, hop))

    async def _connect(self, dsn: str, *, durable: bool) -> store.Connection:
        connection = await store.connect(dsn, durable=durable)
        self._resources.push_async_callback(connection.close)
        return connection

    async def _join(self, service: str, wire: Wire) -> None:
        consumer = self._consumers[service] = wire.consumer(service)
        self._resources.push_async_callback(consumer.stop)
        await consumer.start()

    def _task(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work, name=f"floor {name}"))

    async def _end_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, service: str, hop: store.Hop) -> None:
        """Take what has come, save it, pass on what follows; offsets are only a hint of where to resume."""
        consumer = self._consumers[service]
        next_offsets = time.monotonic() + _OFFSETS_EVERY_SECONDS
        offsets: dict[TopicPartition, int] = {}
        while True:
            batch = Batch()
            later: list[Record] = []
            wait_ms, left = _WAIT_MS, self._batch
            while left > 0 and (found := await consumer.getmany(timeout_ms=wait_ms, max_records=_CHUNK)):
                for position, records in found.items():
                    later += batch.follow(records)
                    offsets[position] = records[-1].offset + 1
                    left -= len(records)
                wait_ms = 0
            while batch.rows:
                await self._save(service, hop, batch)
                batch = Batch()
                later = batch.follow(later)
            if offsets and time.monotonic() > next_offsets:
                await consumer.commit(offsets)
                next_offsets = time.monotonic() + _OFFSETS_EVERY_SECONDS
                offsets = {}

    async def _save(self, service: str, hop: store.Hop, batch: Batch) -> None:
        number, moved = await store.save(hop, service, batch)
        self._progress.record()
        following = batch.following
        if len(moved) < len(batch.rows):
            fresh = set(moved)
            following = [event for event in following if event.position in fresh]
        if following:
            self._relay.take(number, following)
        if self._waits is not None:
            now = time.time()
            self._waits.extend(now - seconds_of(row[3]) for row in batch.rows)
        self._moved += len(moved)
        if self._moved >= self._expected:
            self._done.set()

    async def _begin(self, cases: int) -> None:
        await store.empty(self._admission)
        self._expected, self._moved = STEPS * cases, 0
        self._done.clear()
        for consumer in self._consumers.values():
            consumer.resume(*consumer.assignment())

    async def _finish(self) -> None:
        """Wait for the last hop, and until the outbox is sent; raise what any part of it raised."""
        ended = asyncio.create_task(self._all_done())
        try:
            while not ended.done():
                before = self._moved
                done, _ = await asyncio.wait(
                    {ended, *self._tasks}, timeout=_STALLED_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    task.result()
                if not done and self._moved == before:
                    raise InvalidRunError(f"stands still after {before} of {self._expected} hops")
        finally:
            ended.cancel()

    async def _all_done(self) -> None:
        await self._done.wait()
        await self._relay.drained()

    async def _end(self, cases: int) -> None:
        for consumer in self._consumers.values():
            consumer.pause(*consumer.assignment())
        await store.check(self._admission, cases)


async def _main(arguments: argparse.Namespace) -> None:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # joining a cold broker is noisy; errors raise
    if arguments.pin:
        pin(1)
    async with servers("floor", kafka=arguments.kafka) as on:
        if arguments.pin:
            pin(0)
        watch_postgres(on.postgres_pid)
        floor = Floor()
        await floor.start(on.dsn_of["floor"], on.bootstrap, arguments.kafka)
        try:
            print(HEADING)
            runs = []
            for number in range(1, arguments.repeats + 1):
                runs.append(await floor.run(arguments.cases))
                print(run_line(f"floor {number}", runs[-1]), flush=True)
            print(median_line("floor", runs))
            print(latency_line("floor", await floor.open_load(arguments.rate, arguments.seconds)))
        finally:
            await floor.stop()


if __name__ == "__main__":
    wanted = argparse.ArgumentParser(prog="python -m bench.floor", description="Measure the floor alone.")
    wanted.add_argument("--cases", type=int, default=10_000, help="cases of a closed batch, six hops each")
    wanted.add_argument("--repeats", type=int, default=3, help="how many closed batches")
    wanted.add_argument("--rate", type=float, default=50.0, help="cases a second of the open load")
    wanted.add_argument("--seconds", type=float, default=10.0, help="how long the open load lasts")
    wanted.add_argument("--kafka", action="store_true", help="on Apache Kafka, not the embedded broker")
    wanted.add_argument("--pin", action="store_true", help="this process on one core, the servers on another")
    uvloop.run(_main(wanted.parse_args()))
