"""A broker that falls over: nothing is lost, nothing twice, and it shows."""

import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from services.kernel import metrics
from services.kernel.embedded.recycling import EmbeddedBroker
from services.kernel.embedded.servers import Broker
from services.kernel.limits import Limits
from services.kernel.runtime.runtime import Runtime
from tests.relay_load import (
    SUBSCRIBER,
    Fallible,
    Load,
    all_counted,
    all_sent,
    counted,
    green,
    in_order,
    load,
    pending,
    reading,
    total,
)
from tests.tally import TALLY, running, tallies
from tests.waiting import under_way, until

ROOT = Path(__file__).parents[2]


async def come_back(broker: Fallible, runtimes: Sequence[Runtime]) -> None:
    """Start the broker again; one that keeps nothing is filled from the log."""
    if isinstance(broker, Broker):
        embedded = EmbeddedBroker(broker, Limits())
        embedded.serve({runtime.service.name: runtime for runtime in runtimes})
        await embedded.restart()
    else:
        await broker.start()


async def test_a_broker_that_is_killed_under_load_costs_nothing(
    postgres_dsn: str, fallible: Fallible, broker_kind: str
) -> None:
    """Killed and started in the middle of a load: the consumer ends with everything, once and in order."""
    async with (
        running(postgres_dsn, fallible.bootstrap, broker_kind) as sender,
        running(postgres_dsn, fallible.bootstrap, broker_kind, SUBSCRIBER) as subscriber,
        under_way(Load(sender, 10)) as load,
    ):
        await until(lambda: counted(subscriber, 100))
        await fallible.kill()
        await until(lambda: pending_at_least(sender, 30))
        await come_back(fallible, [sender, subscriber])
        before = await total(subscriber)
        await until(lambda: counted(subscriber, before + 100), seconds=120)
        each = await load.end()
        await until(lambda: counted(subscriber, 10 * each), seconds=120)
        await until(lambda: all_sent(sender))
        found = await tallies(subscriber)
        parked = await subscriber.pool.fetchval("select count(*) from parked_events")

    assert found == all_counted(10, each)
    assert parked == 0


async def pending_at_least(runtime: Runtime, number: int) -> bool:
    """Return whether so many events wait to be sent."""
    return await pending(runtime) >= number


async def test_what_could_not_be_sent_is_kept(
    postgres_dsn: str, fallible: Fallible, broker_kind: str
) -> None:
    """While the broker is away commands go on, nothing is deleted, and it shows; then all of it is sent."""
    limits = Limits(relay_alive_seconds=3, relay_ack_seconds=3, gauges_seconds=0.5)
    async with running(postgres_dsn, fallible.bootstrap, broker_kind, limits=limits) as runtime:
        await load(runtime, 10, 2)
        await until(lambda: all_sent(runtime))
        await until(lambda: is_up(1.0))
        failures = relay_failures()
        await fallible.kill()
        await load(runtime, 10, 3, first=3)
        await until(lambda: is_up(0.0))
        await until(lambda: failed(failures + 3), seconds=60)
        kept = await pending(runtime)
        await until(lambda: red(runtime), seconds=60)
        await come_back(fallible, [runtime])
        await until(lambda: all_sent(runtime), seconds=60)
        await until(lambda: is_up(1.0))
        await until(lambda: green(runtime))
        async with reading(fallible.bootstrap) as reader:
            await reader.read_until(lambda: len(reader.ids()) == 50)

    assert kept == 30
    assert reader.firsts() == in_order(10, 5)


async def is_up(value: float) -> bool:
    """Return whether the metric says so of the broker."""
    found: float = metrics.BROKER_UP.labels("consent")._value.get()
    return found == value


def relay_failures() -> float:
    """Return how many rounds of the relay have failed."""
    found: float = metrics.RELAY_FAILURES.labels("consent")._value.get()
    return found


async def failed(times: float) -> bool:
    """Return whether so many rounds have failed."""
    return relay_failures() >= times


async def red(runtime: Runtime) -> bool:
    """Return whether the service says that it cannot reach the broker."""
    return not {"relay", "broker"}.isdisjoint(await runtime.unready_reasons())


async def test_a_broker_that_is_away_shows_also_when_nothing_is_to_be_sent(
    postgres_dsn: str, fallible: Fallible, broker_kind: str
) -> None:
    """A service that neither sends watermarks nor writes notices as well."""
    service, limits = replace(TALLY, watermark_event=None), Limits(gauges_seconds=1)
    async with running(postgres_dsn, fallible.bootstrap, broker_kind, service, limits=limits) as runtime:
        await until(lambda: green(runtime))
        await fallible.kill()
        await until(lambda: is_up(0.0))
        await until(lambda: red(runtime), seconds=60)
        await come_back(fallible, [runtime])
        await until(lambda: is_up(1.0))
        await until(lambda: green(runtime))


CHILD = """
import asyncio, sys
from pathlib import Path
from services.kernel.logging import set_up_logs
from tests.tally import running

async def main(dsn, bootstrap, kind, log):
    set_up_logs("info", Path(log))
    async with running(dsn, bootstrap, kind) as runtime:
        while await runtime.unready_reasons():
            await asyncio.sleep(0.05)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize(
    "broker_kind",
    ["embedded", pytest.param("kafka", marks=[pytest.mark.kafka, pytest.mark.campaign])],
    indirect=True,
)
async def test_a_broker_that_is_away_fills_no_disk(
    postgres_dsn: str, fallible: Fallible, broker_kind: str, tmp_path: Path
) -> None:
    """A process whose broker is away writes less than one line a second, of its own and its libraries'."""
    log = tmp_path / "log"
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        CHILD,
        postgres_dsn,
        fallible.bootstrap,
        broker_kind,
        str(log),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    async with asyncio.timeout(60):
        assert await child.stdout.readline() == b"ready\n"
    before = lines(log)
    await fallible.kill()
    ends = time.monotonic() + 20.0

    async def over() -> bool:
        return time.monotonic() > ends

    await until(over)
    written = lines(log) - before
    child.stdin.write(b"\n")
    async with asyncio.timeout(60):
        await child.wait()

    assert 0 < written < 20


def lines(file: Path) -> int:
    """Return how many lines a file has."""
    return len(file.read_text(encoding="utf-8").splitlines())
