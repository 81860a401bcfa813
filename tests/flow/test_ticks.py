"""Ticks tell who hears a service how far it has spoken."""

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from services.kernel.runtime.runtime import Runtime
from tests.relaying import LISTENER, Load, all_counted, apply, count, counted, reading
from tests.tally import case_id, running, tallies
from tests.waiting import under_way, until


async def test_ticks_reach_every_partition_and_move_the_horizon(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """Who hears consents knows for every stream that nothing is missing, and goes on knowing it."""
    async with (
        running(postgres_dsn, bootstrap, broker_kind),
        running(postgres_dsn, bootstrap, broker_kind, LISTENER) as listener,
        reading(bootstrap) as reader,
    ):
        await until(lambda: known(listener, range(50)))
        before = await horizon(listener)
        await until(lambda: moved(listener, before))
        await reader.read_until(lambda: {0, 1, 2, 3} <= set(reader.ticked))
        numbered = await listener.pool.fetchval("select count(*) from streams")

    assert set(before) == set(range(4))
    assert (reader.lines, numbered) == ([], 0)


async def known(runtime: Runtime, streams: Sequence[int]) -> bool:
    """Return whether what is known of the consents of these streams may be trusted."""
    async with runtime.pool.acquire() as tx:
        ids = {case_id(n) for n in streams}
        fresh = await runtime.processor.dependencies.watermark.fresh_streams(tx, ids)
    return fresh == ids


async def horizon(runtime: Runtime) -> dict[int, Any]:
    """Return the last tick of each partition."""
    rows = await runtime.pool.fetch("select kafka_partition, watermark_at from consent_watermarks")
    return {row["kafka_partition"]: row["watermark_at"] for row in rows}


async def moved(runtime: Runtime, before: dict[int, Any]) -> bool:
    """Return whether every partition has ticked since."""
    now = await horizon(runtime)
    return all(now[part] > at for part, at in before.items())


async def test_without_ticks_nothing_is_known(postgres_dsn: str, bootstrap: str, broker_kind: str) -> None:
    """When the consents fall silent for longer than the horizon the gate shuts, and opens when they speak."""
    async with running(postgres_dsn, bootstrap, broker_kind, LISTENER, horizon_seconds=2.0) as listener:
        never = await known(listener, [1])
        async with running(postgres_dsn, bootstrap, broker_kind):
            await until(lambda: known(listener, range(20)))
        await until(lambda: unknown(listener, range(20)))
        async with running(postgres_dsn, bootstrap, broker_kind):
            await until(lambda: known(listener, range(20)))

    assert never is False


async def unknown(runtime: Runtime, streams: Sequence[int]) -> bool:
    """Return whether nothing is known of any of these streams."""
    return not any([await known(runtime, [n]) for n in streams])


async def test_a_tick_stands_behind_what_was_committed_before_it(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """Where a listener has a tick's time, it has every event that was committed until then."""
    async with (
        running(postgres_dsn, bootstrap, broker_kind) as sender,
        running(postgres_dsn, bootstrap, broker_kind, LISTENER) as listener,
    ):
        for k in range(1, 16):
            await apply(sender, *(count(n, k) for n in range(20)))
            committed = await sender.pool.fetchval("select clock_timestamp()")
            await until(lambda at=committed: past(listener, at))  # type: ignore[misc]
            assert await tallies(listener) == all_counted(20, k)


async def past(runtime: Runtime, at: Any) -> bool:
    """Return whether every partition has ticked since a time."""
    now = await horizon(runtime)
    return len(now) == 4 and min(now.values()) > at


async def test_ticks_come_also_under_load(postgres_dsn: str, bootstrap: str, broker_kind: str) -> None:
    """Somebody who never stops writing does not make the consents unknown."""
    async with (
        running(postgres_dsn, bootstrap, broker_kind) as sender,
        running(postgres_dsn, bootstrap, broker_kind, LISTENER, horizon_seconds=3.0) as listener,
    ):
        await until(lambda: known(listener, range(20)))
        async with under_way(Load(sender, 90)) as load:
            before = await horizon(listener)
            for _ in range(8):
                await until(lambda at=before: moved(listener, at), seconds=20)  # type: ignore[misc]
                before = await horizon(listener)
            each = await load.end()
        await until(lambda: counted(listener, 90 * each), seconds=120)


async def test_ticks_come_also_where_every_reading_finds_something(
    postgres_dsn: str, bootstrap: str, broker_kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is sent, something new is committed before the relay looks again."""
    numbers = itertools.count(1)
    async with (
        running(postgres_dsn, bootstrap, broker_kind) as sender,
        running(postgres_dsn, bootstrap, broker_kind, LISTENER, horizon_seconds=3.0) as listener,
    ):
        await until(lambda: known(listener, range(20)))
        publish = sender.relay._publish

        async def and_one_more(*what: Any) -> None:
            await publish(*what)
            await apply(sender, count(0, next(numbers)))

        with monkeypatch.context() as patch:
            patch.setattr(sender.relay, "_publish", and_one_more)
            await apply(sender, count(0, next(numbers)))
            for _ in range(3):
                before = await horizon(listener)
                await until(lambda at=before: moved(listener, at), seconds=20)  # type: ignore[misc]
        counts = next(numbers) - 1
        await until(lambda: counted(listener, counts), seconds=60)
