"""Regressions: faults that the campaigns have found stay fixed."""

import os
import signal
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import asyncpg
import pytest

from services.kernel.clock import SystemClock
from services.kernel.decider.decision import Actor
from services.kernel.embedded.child_process import free_port
from services.kernel.embedded.servers import Broker, Postgres
from services.kernel.embedded.servers import broker as embedded_broker
from services.kernel.ids import new_id
from services.kernel.kafka.clients import BrokerUnreachable, producer, start_client
from services.kernel.limits import Limits
from services.kernel.privacy.key_store import FileKeyStore
from services.kernel.runtime import assembly
from services.kernel.runtime.runtime import Runtime
from services.kernel.streams.envelopes import Envelope
from tests.fault.proxy import Proxy
from tests.fault.proxy import proxy as a_proxy
from tests.servers import a_postgres, drop_database, fresh_database, scratch_folder
from tests.servers import running as in_its_own_loop
from tests.tally import (
    ACTOR,
    START,
    TALLY,
    TENANT,
    Count,
    a_message,
    case_id,
    publish,
    running,
    seen,
    settings_for,
    tallies,
)
from tests.waiting import until

LOCK = "select pid from pg_locks where locktype = 'advisory' and granted"


async def count(runtime: Runtime, times: int) -> None:
    """Count by commands in the first case."""
    for _ in range(times):
        cause = str(new_id())
        actor = Actor(ACTOR, "caseworker", TENANT)
        async with runtime.pool.acquire() as tx:
            envelope = Envelope(case_id(0), TENANT, Count(new_id()), actor, START, cause, cause)
            await runtime.processor.process(tx, [envelope])


async def all_sent(runtime: Runtime) -> bool:
    """Return whether nothing waits to be sent."""
    found: bool = await runtime.pool.fetchval("select not exists (select from pending)")
    return found


async def test_a_cluster_may_be_named_by_several_addresses(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """With several addresses, as a cluster has them, events are sent and consumed."""
    async with running(postgres_dsn, f"{bootstrap},{bootstrap}", broker_kind) as runtime:
        await publish(bootstrap, [a_message(case_id(0), 1, seen(1))])

        async def consumed() -> bool:
            return bool(await tallies(runtime))

        await until(consumed)
        await until(lambda: all_sent(runtime))


def test_several_processes_make_one_key(tmp_path: Path) -> None:
    """Processes that start at once on an empty folder use the same key, which stays."""
    together = Barrier(8)

    def begin(_: int) -> bytes:
        together.wait()
        (root,) = FileKeyStore(tmp_path / "keys" / "kek", mode="test")._roots.values()
        return root

    with ThreadPoolExecutor(8) as pool:
        roots = set(pool.map(begin, range(8)))

    assert roots == {(tmp_path / "keys" / "kek").read_bytes()}
    assert [file.name for file in (tmp_path / "keys").iterdir()] == ["kek"]


async def test_a_service_says_that_it_cannot_reach_its_database(tmp_path: Path) -> None:
    """The reason why a service did not start is raised, and not hidden by another one."""
    settings = settings_for("postgresql://user:nothing@127.0.0.1:9/none", "127.0.0.1:9", "embedded")
    with pytest.raises(ConnectionRefusedError):
        async with assembly.running(
            [TALLY], settings, clock=SystemClock(), key_store=FileKeyStore(tmp_path / "kek", mode="test")
        ):
            raise AssertionError


@pytest.fixture(scope="module")
def networked() -> Iterator[Postgres]:
    """Run a PostgreSQL that listens on a port."""
    with a_postgres(port=free_port()) as server:
        yield server


@pytest.fixture
async def wired(networked: Postgres) -> AsyncIterator[tuple[Proxy, str, str]]:
    """Lend a wire to a fresh database, and the connection strings over it and past it."""
    straight = await fresh_database(networked)
    port = int(straight.rpartition(":")[2].partition("/")[0])
    async with a_proxy(port) as wire:
        yield wire, straight.replace(f":{port}/", f":{wire.port}/"), straight
    await drop_database(networked, straight)


@pytest.fixture
def embedded() -> Iterator[Broker]:
    """Run an embedded broker of the test's own."""
    with scratch_folder() as folder, in_its_own_loop(embedded_broker(folder / "broker")) as server:
        yield server


@pytest.mark.parametrize("mood", ["black"])
async def test_a_half_open_connection_is_noticed(
    mood: str, wired: tuple[Proxy, str, str], embedded: Broker
) -> None:
    """What the wire to the database swallows is not waited for without end; all is taken and sent."""
    limits = Limits(statement_seconds=1, relay_ack_seconds=2)
    wire, dsn, _ = wired
    async with running(dsn, embedded.bootstrap, "embedded", limits=limits) as runtime:
        await count(runtime, 1)
        await until(lambda: all_sent(runtime))
        wire.mood = mood  # type: ignore[assignment]
        await publish(embedded.bootstrap, [a_message(case_id(n), 1, seen(1)) for n in range(1, 4)])
        failures = runtime.consumer.failures if runtime.consumer else 0

        async def complains() -> bool:
            return runtime.consumer is not None and runtime.consumer.failures > failures

        await until(complains)
        wire.mood = "well"

        async def consumed() -> bool:
            return len(await tallies(runtime)) == 4

        await until(consumed, seconds=20)
        await until(lambda: all_sent(runtime), seconds=20)


async def test_a_silent_leader_loses_the_lead(postgres_dsn: str, embedded: Broker) -> None:
    """A relay that falls silent before its database cannot keep the lead from others; nothing is lost."""
    limits = Limits(relay_session_seconds=1)
    stranger = await asyncpg.connect(postgres_dsn)
    async with (
        running(postgres_dsn, embedded.bootstrap, "embedded", limits=limits) as one,
        running(postgres_dsn, embedded.bootstrap, "embedded", limits=limits) as two,
    ):
        await count(one, 1)
        await until(lambda: all_sent(one))
        leader = await stranger.fetchval(LOCK)
        os.kill(embedded.pid, signal.SIGSTOP)
        try:
            await count(two, 3)

            async def lost() -> bool:
                return bool(await stranger.fetchval(LOCK) != leader)

            await until(lost)
        finally:
            os.kill(embedded.pid, signal.SIGCONT)
        await until(lambda: all_sent(two), seconds=60)
    await stranger.close()


async def test_a_producer_is_not_begun_without_end() -> None:
    """Where all brokers of the cluster are silent it fails, and the next one tries all addresses."""
    limits = Limits(client_start_seconds=2)
    port = free_port()
    with scratch_folder() as folder:
        async with a_proxy(port) as wire:
            (folder / "broker").mkdir()
            server = Broker(folder / "broker", port=port, advertised=wire.port)
            await server.start()
            try:
                settings = settings_for(
                    "postgresql://127.0.0.1:9/none", f"127.0.0.1:{port}", "kafka", limits=limits
                )
                wire.mood = "black"
                with pytest.raises(BrokerUnreachable):
                    await start_client(producer(settings), settings)
            finally:
                await server.stop()
