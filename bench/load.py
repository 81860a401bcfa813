"""How a contender is loaded and measured: a closed batch of cases, or cases that arrive at a fixed rate."""

import asyncio
import contextlib
import gc
import os
import resource
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol

import psutil

_FIRST_COLLECTION = 50_000
_MEGABYTE = 1 << 20


class InvalidRunError(RuntimeError):
    """The run lost, doubled or reordered something, so its figures mean nothing."""


@dataclass(frozen=True)
class Run:
    """A closed batch: so many hops, from the first event sent to the last hop committed.

    `python_cpu_seconds` is user and system time of this process, until nothing was left to do;
    `postgres_cpu_seconds` that of the whole server in the meantime. `longest_gap` is the longest time in
    seconds in which no hop was committed: a wake-up that was lost shows here.
    """

    hops: int
    seconds: float
    python_cpu_seconds: float
    postgres_cpu_seconds: float
    rss_mb: float
    longest_gap: float = 0.0

    @property
    def hops_per_second(self) -> float:
        """Return how fast the batch was worked off."""
        return self.hops / self.seconds

    @property
    def python_us(self) -> float:
        """Return the Python CPU time of a hop, in microseconds."""
        return 1e6 * self.python_cpu_seconds / self.hops

    @property
    def postgres_us(self) -> float:
        """Return PostgreSQL's CPU time of a hop, in microseconds."""
        return 1e6 * self.postgres_cpu_seconds / self.hops


@dataclass(frozen=True)
class Latency:
    """An open load: milliseconds from an event being made (its `ce_time`) to what it causes being committed.

    An event is made just before the commit of what causes it.
    """

    cases_per_second: float
    hops: int
    p50: float
    p95: float
    p99: float
    python_cpu_seconds: float

    @property
    def python_us(self) -> float:
        """Return the Python CPU time of a hop, in microseconds."""
        return 1e6 * self.python_cpu_seconds / self.hops


class Contender(Protocol):
    """Something that works hops off; its caller starts and empties the servers."""

    async def start(self, dsn: str, bootstrap: str, kafka: bool) -> None:  # noqa: FBT001 - which broker it is
        """Get ready on these servers; `kafka` says Apache Kafka, else it is the embedded broker."""
        ...

    async def run(self, cases: int) -> Run:
        """Work a closed batch off; raises `InvalidRunError` where the tables say otherwise afterwards."""
        ...

    async def open_load(self, cases_per_second: float, seconds: float) -> Latency:
        """Let cases arrive evenly spaced; raises `InvalidRunError` like `run`."""
        ...

    async def stop(self) -> None:
        """Let go of the servers."""
        ...


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


_measured: list[int] = []


def watch_postgres(pid: int) -> None:
    """Let every meter of this process read the server with this process id too."""
    _measured[:] = [pid]


def _postgres_seconds() -> float:
    seconds = 0.0
    for pid in _measured:
        server = psutil.Process(pid)
        for process in (server, *server.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                seconds += sum(process.cpu_times()[:4])  # its own and that of the children which have ended
    return seconds


@dataclass
class Progress:
    """When hops were committed, and the longest gap between two commits, in seconds."""

    last: float = field(default_factory=time.perf_counter)
    longest_gap: float = 0.0

    def record(self) -> None:
        """Record that hops were committed just now."""
        now = time.perf_counter()
        self.longest_gap = max(self.longest_gap, now - self.last)
        self.last = now


@dataclass
class Meter:
    """Clocks of one run of this process, started when it is made."""

    postgres: float = field(default_factory=_postgres_seconds)
    began: float = field(default_factory=time.perf_counter)
    cpu: float = field(default_factory=_cpu_seconds)

    def run(self, hops: int, last: float, longest_gap: float = 0.0) -> Run:
        """Return the figures of a batch whose last hop was committed at `last` by `perf_counter`."""
        used = _cpu_seconds() - self.cpu
        postgres = _postgres_seconds() - self.postgres
        return Run(hops, last - self.began, used, postgres, resident_mb(), longest_gap)

    def latency(self, cases_per_second: float, waits: Sequence[float]) -> Latency:
        """Return the figures of an open load whose hops waited so many seconds each."""
        p50, p95, p99 = (1e3 * quantile(waits, share) for share in (0.50, 0.95, 0.99))
        return Latency(cases_per_second, len(waits), p50, p95, p99, _cpu_seconds() - self.cpu)


def resident_mb() -> float:
    """Return the memory of this process that is in RAM, in MiB."""
    return float(psutil.Process().memory_info().rss) / _MEGABYTE


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def stamp() -> bytes:
    """Return the time to the microsecond, as the attribute `ce_time` has it."""
    return datetime.now(UTC).isoformat(timespec="microseconds").encode()


@lru_cache(maxsize=4096)
def seconds_of(stamped: bytes) -> float:
    """Return the time of `ce_time`, in seconds since the epoch; a batch shares few of them."""
    return datetime.fromisoformat(stamped.decode()).timestamp()


async def arrivals(per_second: float, seconds: float) -> AsyncIterator[int]:
    """Yield how many cases are due at each moment: evenly spaced, whether or not the taker keeps up."""
    began = time.perf_counter()
    total = round(per_second * seconds)
    gone = 0
    while gone < total:
        await asyncio.sleep(max(0.0, began + gone / per_second - time.perf_counter()))
        due = min(total, int((time.perf_counter() - began) * per_second) + 1)
        if due > gone:
            yield due - gone
            gone = due


def settle() -> None:
    """Spare the garbage collector what lives as long as the process, and most of its walks."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_FIRST_COLLECTION, *gc.get_threshold()[1:])


def pin(core: int) -> None:
    """Keep this process, and those it starts from now on, on one core."""
    os.sched_setaffinity(0, {core})
