"""Whether more processes of one service do more: one, two and four members of a group on the same backlog.

`python -m bench.scale` makes a log of two services with the chain of `bench.chain`, lets one, two or four
processes of the audit service, which subscribes to everything, join their group on an empty broker, and then
sends it all at once. Printed is the rate until the last event is committed, and how busy these processes,
PostgreSQL, the broker and whatever else runs were, in cores: where no core is idle, more processes cannot do
more.
"""

import asyncio
import multiprocessing
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event, Semaphore
from pathlib import Path
from typing import Final

import psutil
import uvloop
from pydantic import SecretStr

from bench.arguments import at_least_one, command
from bench.chain import CHAIN
from bench.figures import spread
from bench.load import InvalidRunError
from bench.ours import Ours
from bench.processor import family_seconds, seconds_of
from bench.refill import PartitionMessages, bare, messages_of, quiet
from bench.servers import Servers, servers
from bench.stock import fill
from contracts.event import SERVICES
from services.audit.app import SERVICE as AUDIT
from services.kernel.clock import SystemClock
from services.kernel.consumer.consumer import EventConsumer
from services.kernel.embedded.servers import broker
from services.kernel.kafka.topics import make_topics
from services.kernel.postgres.connections import Session, connect
from services.kernel.postgres.migrations import migrate
from services.kernel.privacy.key_store import FileKeyStore
from services.kernel.runtime.assembly import tune_garbage_collector
from services.kernel.runtime.runtime import Runtime
from services.kernel.settings import Settings
from tests.servers import scratch_folder

_MEMBERS: Final = (1, 2, 4)
_LOOK_SECONDS: Final = 0.05
_PATIENCE_SECONDS: Final = 120.0
_TAKEN: Final = """
select coalesce(sum((mark.value ->> 0)::bigint), 0)::bigint from streams, jsonb_each(marks) as mark
"""


@dataclass(frozen=True)
class Shared:
    """A backlog worked off by so many processes: CPU in seconds, and how long cores had nothing to do."""

    members: int
    events: int
    seconds: float
    python: float
    postgres: float
    broker: float
    idle: float

    @property
    def rate(self) -> float:
        """Return events a second."""
        return self.events / self.seconds

    def line(self) -> str:
        """Return it as a line."""
        busy = {"Python": self.python, "PostgreSQL": self.postgres, "broker": self.broker}
        cores = ", ".join(f"{name} {used / self.seconds:.2f}" for name, used in busy.items())
        others = (os.cpu_count() or 1) - (sum(busy.values()) + self.idle) / self.seconds
        rest = f"others {others:.2f}, idle {self.idle / self.seconds:.2f}"
        return f"{self.members} processes {self.rate:>8,.0f} events/s   cores: {cores}, {rest}"


def _member(settings: Settings, folder: Path, ready: Semaphore, end: Event) -> None:
    """Run one process of the audit service until the pipe says stop."""
    quiet()
    uvloop.run(_live(settings, folder, ready, end))


async def _live(settings: Settings, folder: Path, ready: Semaphore, end: Event) -> None:
    key_store = FileKeyStore(folder / "kek", mode="test")
    runtime = Runtime(AUDIT, settings, clock=SystemClock(), models={}, key_store=key_store)
    await runtime.start()
    while (
        await runtime.unready_reasons()
        or runtime.consumer is None
        or not _assigned_partitions(runtime.consumer)
    ):
        await asyncio.sleep(_LOOK_SECONDS)
    tune_garbage_collector()
    ready.release()
    await asyncio.to_thread(end.wait)
    await runtime.stop()


def _assigned_partitions(consumer: EventConsumer) -> int:
    return 0 if consumer.consumer is None else len(consumer.consumer.assignment())


async def _main(events: int, repeats: int, crews: Sequence[int]) -> None:
    async with servers("ours", kafka=False) as on:
        dsn = on.dsn_of["ours"]
        first = Ours()
        await first.start(dsn, on.bootstrap, kafka=False)
        await first.stop()
        count = await fill(dsn, CHAIN, events)
        partitions = await messages_of(dsn)
        print(f"{count} events, {repeats} repeats", flush=True)
        runs: dict[int, list[Shared]] = {members: [] for members in sorted(crews)}
        for number in range(repeats):
            for members in sorted(runs, reverse=number % 2 == 1):
                runs[members].append(await _shared(on, members, partitions))
                print(runs[members][-1].line(), flush=True)
    for line in lines(runs):
        print(line)


def lines(runs: Mapping[int, Sequence[Shared]]) -> list[str]:
    """Return how each number of processes compares with the smallest, run by run."""
    fewest, *more = runs
    return [
        f"{members} to {fewest}: "
        + spread(many.rate / few.rate for many, few in zip(runs[members], runs[fewest], strict=True))
        for members in more
    ]


async def _shared(on: Servers, members: int, partitions: PartitionMessages) -> Shared:
    """Let so many processes take all events, on tables and a broker that know of none."""
    dsn = on.dsn_of["ours"]
    owner = await connect(dsn, schema="audit")
    await owner.execute("drop schema if exists audit cascade")
    await migrate(dsn, AUDIT)
    async with AsyncExitStack() as running:
        folder = running.enter_context(scratch_folder())
        empty = await running.enter_async_context(broker(folder / "broker"))
        settings = Settings(
            mode="test", database=SecretStr(dsn), bootstrap=empty.bootstrap, broker="embedded"
        )
        await make_topics(SERVICES, settings)
        spawn = multiprocessing.get_context("spawn")
        ready, end = spawn.Semaphore(0), spawn.Event()
        crew = [spawn.Process(target=_member, args=(settings, folder, ready, end)) for _ in range(members)]
        for process in crew:
            process.start()
        try:
            for number in range(members):
                if not await asyncio.to_thread(ready.acquire, timeout=_PATIENCE_SECONDS):
                    raise InvalidRunError(f"{number} of {members} processes have joined")
            return await _measured(on, owner, crew, psutil.Process(empty.pid), settings, partitions)
        finally:
            end.set()
            for process in crew:
                await asyncio.to_thread(process.join, _PATIENCE_SECONDS)
                process.kill()
            await owner.close()


async def _measured(
    on: Servers,
    owner: Session,
    crew: Sequence[BaseProcess],
    road: psutil.Process,
    settings: Settings,
    partitions: PartitionMessages,
) -> Shared:
    whole = sum(map(len, partitions.values()))
    python = [psutil.Process(process.pid) for process in crew]
    postgres = psutil.Process(on.postgres_pid)

    def used() -> tuple[float, float, float, float]:
        cores = psutil.cpu_times()
        idle = cores.idle + getattr(cores, "iowait", 0.0)
        return sum(map(seconds_of, python)), family_seconds(postgres), seconds_of(road), idle

    before, began = used(), time.perf_counter()
    await bare(partitions, settings)
    while await owner.fetchval(_TAKEN) < whole:
        if time.perf_counter() - began > _PATIENCE_SECONDS:
            raise InvalidRunError(f"{await owner.fetchval(_TAKEN)} of {whole} events were taken")
        await asyncio.sleep(_LOOK_SECONDS)
    seconds = time.perf_counter() - began
    spent = [after - earlier for after, earlier in zip(used(), before, strict=True)]
    return Shared(len(crew), whole, seconds, *spent)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure by the options of the command line."""
    wanted = command(
        "bench.scale",
        "Share one service out among processes.",
        events=(60_000, "how many events the backlog has"),
        repeats=(3, "how often each number of processes"),
    )
    wanted.add_argument("--members", type=at_least_one, nargs="+", default=_MEMBERS, help="processes")
    arguments = wanted.parse_args(argv)
    quiet()
    uvloop.run(_main(arguments.events, arguments.repeats, arguments.members))


if __name__ == "__main__":
    main()
