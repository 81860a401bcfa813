"""How fast an empty broker fills up from the log, against a bare producer that is handed the same messages.

`python -m bench.refill` lets some cases go through the chain of `bench.chain`, copies what they left until
the logs hold 100,000 events, and fills empty brokers interleaved: by the product's own refill and relays,
which read the log in PostgreSQL, and by aiokafka's producer alone, with all messages ready. There are no
consumers.
"""

import asyncio
import logging
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import psutil
import structlog
import uvloop
from aiokafka import TopicPartition
from pydantic import SecretStr

from bench.arguments import command
from bench.chain import CHAIN
from bench.figures import spread
from bench.load import InvalidRunError, Meter, watch_postgres
from bench.ours import Ours
from bench.processor import seconds_of
from bench.servers import servers
from bench.stock import fill
from contracts.event import topic_of
from services.kernel.embedded.servers import broker
from services.kernel.kafka.clients import producer
from services.kernel.kafka.cloudevents import Message
from services.kernel.kafka.partitioner import partition_of
from services.kernel.kafka.signals import NO_SIGNALS
from services.kernel.kafka.topics import make_topics
from services.kernel.outbox.pending import from_log
from services.kernel.outbox.relay import Relay
from services.kernel.outbox.republish import refill
from services.kernel.postgres.connections import connect
from services.kernel.runtime.assembly import tune_garbage_collector
from services.kernel.settings import Settings

_LOOK_SECONDS: Final = 0.002
_DAYS: Final = 3

PartitionMessages = dict[TopicPartition, list[Message]]
Reached = dict[TopicPartition, int]
Way = Callable[[Settings], Awaitable[Reached]]
"""Fills a broker, and returns how far it acknowledged."""


@dataclass(frozen=True)
class Filled:
    """One broker filled: CPU seconds of this process, of PostgreSQL and of the broker."""

    events: int
    seconds: float
    python: float
    postgres: float
    broker: float

    @property
    def rate(self) -> float:
        """Return events a second."""
        return self.events / self.seconds

    def line(self, name: str) -> str:
        """Return it as a line."""
        parts = {"Python": self.python, "PostgreSQL": self.postgres, "broker": self.broker}
        cpu = ", ".join(f"{part} {1e6 * used / self.events:.1f}" for part, used in parts.items())
        return f"{name:10}{self.rate:>10,.0f} events/s   CPU µs an event: {cpu}"


async def _main(events: int, repeats: int) -> None:
    async with servers("ours", kafka=False) as on:
        watch_postgres(on.postgres_pid)
        dsn = on.dsn_of["ours"]
        first = Ours()
        await first.start(dsn, on.bootstrap, kafka=False)
        await first.stop()
        count = await fill(dsn, CHAIN, events, days=_DAYS)
        partitions = await messages_of(dsn)
        tune_garbage_collector()
        runs: dict[str, list[Filled]] = {"bare": [], "refill": []}
        ways: dict[str, Way] = {
            "bare": lambda settings: bare(partitions, settings),
            "refill": _refill,
        }
        print(f"{count} events, {repeats} repeats")
        for number in range(repeats):
            for name in sorted(ways, reverse=number % 2 == 1):
                runs[name].append(await filled(dsn, ways[name], partitions))
                print(runs[name][-1].line(name), flush=True)
    ratios = spread(ours.rate / bare.rate for ours, bare in zip(runs["refill"], runs["bare"], strict=True))
    print(f"refill to the bare producer: {ratios}")


async def filled(dsn: str, way: Way, partitions: PartitionMessages) -> Filled:
    """Fill an empty broker; raise `InvalidRunError` unless it then holds every event once."""
    async with AsyncExitStack() as running:
        folder = running.enter_context(tempfile.TemporaryDirectory())
        empty = await running.enter_async_context(broker(Path(folder)))
        settings = Settings(
            mode="test", database=SecretStr(dsn), bootstrap=empty.bootstrap, broker="embedded"
        )
        road = psutil.Process(empty.pid)
        meter, used = Meter(), seconds_of(road)
        reached = await way(settings)
        run = meter.run(sum(map(len, partitions.values())), time.perf_counter())
        used = seconds_of(road) - used
        if reached != {position: len(messages) for position, messages in partitions.items()}:
            raise InvalidRunError(f"the broker holds {reached}")
    return Filled(run.hops, run.seconds, run.python_cpu_seconds, run.postgres_cpu_seconds, used)


async def messages_of(dsn: str) -> PartitionMessages:
    """Return all that the logs hold as messages, by partition and in order."""
    partitions: PartitionMessages = defaultdict(list)
    for name in CHAIN:
        session = await connect(dsn, schema=name)
        for row in await session.fetch(_LOGGED):
            message = from_log(row).message()
            partitions[TopicPartition(topic_of(name), partition_of(message.key, 4))].append(message)
        await session.close()
    return partitions


async def bare(partitions: PartitionMessages, settings: Settings) -> Reached:
    """Send what is ready, as fast as aiokafka can: all partitions at once."""
    await make_topics(CHAIN, settings)
    sender = producer(settings)
    await sender.start()
    reached: Reached = {}

    async def acknowledged(partition: TopicPartition, batch: Any) -> None:
        count = batch.record_count()
        done = await (await sender.send_batch(batch, partition.topic, partition=partition.partition))
        reached[partition] = done.offset + count

    async def send(partition: TopicPartition, messages: Sequence[Message]) -> None:
        batch = sender.create_batch()
        for message in messages:
            if batch.append(key=message.key, value=message.value, timestamp=None, headers=message.headers):
                continue
            await acknowledged(partition, batch)
            batch = sender.create_batch()
            batch.append(key=message.key, value=message.value, timestamp=None, headers=message.headers)
        await acknowledged(partition, batch)

    await asyncio.gather(*(send(partition, messages) for partition, messages in partitions.items()))
    await sender.stop()
    return reached


async def _refill(settings: Settings) -> Reached:
    """Fill as `samspil up` does: queue the logs, and let the relays send."""
    await refill(dict.fromkeys(CHAIN, settings))
    relays = [
        Relay(replace(service, watermark_event=None), settings, NO_SIGNALS) for service in CHAIN.values()
    ]
    tasks = [asyncio.create_task(relay.run()) for relay in relays]
    sessions = [await connect(settings.database.get_secret_value(), schema=name) for name in CHAIN]
    for session in sessions:
        while await session.fetchval("select exists (select from pending)"):
            await asyncio.sleep(_LOOK_SECONDS)
        await session.close()
    for relay in relays:
        relay.stop()
    await asyncio.gather(*tasks)
    return {
        TopicPartition(topic_of(name), partition): end
        for name, relay in zip(CHAIN, relays, strict=True)
        for partition, end in relay.end_offsets.items()
    }


def quiet() -> None:
    """Log nothing but errors."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))


_LOGGED: Final = "select id, event_id, stream_id, seq, tenant, type, meta, data from event_log order by id"


def main(argv: Sequence[str] | None = None) -> None:
    """Measure by the options of the command line."""
    wanted = command(
        "bench.refill",
        "Fill an empty broker from the log, and by a bare producer.",
        events=(100_000, "how many events the logs hold"),
        repeats=(5, "how often each way"),
    )
    arguments = wanted.parse_args(argv)
    quiet()
    uvloop.run(_main(arguments.events, arguments.repeats))


if __name__ == "__main__":
    main()
