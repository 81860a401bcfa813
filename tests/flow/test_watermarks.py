"""Watermarks: a subscriber of consents knows up to when it has consumed all of them."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from services.kernel.runtime.runtime import Runtime
from tests.relay_load import SUBSCRIBER, Load, all_counted, apply, count, counted, reading
from tests.tally import TENANT, case_id, running, tallies
from tests.waiting import under_way, until

WRITERS = 6


async def test_watermarks_reach_every_partition(postgres_dsn: str, bootstrap: str, broker_kind: str) -> None:
    """The consents of every stream are fresh, and stay so."""
    async with (
        running(postgres_dsn, bootstrap, broker_kind),
        running(postgres_dsn, bootstrap, broker_kind, SUBSCRIBER) as subscriber,
        reading(bootstrap) as reader,
    ):
        await until(lambda: fresh(subscriber, range(50)))
        before = await watermarks(subscriber)
        await until(lambda: moved(subscriber, before))
        await reader.read_until(lambda: {0, 1, 2, 3} <= set(reader.watermark_partitions))
        numbered = await subscriber.pool.fetchval("select count(*) from streams")

    assert set(before) == set(range(4))
    assert (reader.lines, numbered) == ([], 0)


async def fresh(runtime: Runtime, streams: Sequence[int]) -> bool:
    """Return whether the consents of these streams are fresh."""
    async with runtime.pool.acquire() as tx:
        keys = {(TENANT, case_id(n)) for n in streams}
        found = await runtime.processor.dependencies.watermark.fresh_streams(tx, keys)
    return found == keys


async def watermarks(runtime: Runtime) -> dict[int, Any]:
    """Return the last watermark of each partition."""
    rows = await runtime.pool.fetch("select kafka_partition, watermark_at from consent_watermarks")
    return {row["kafka_partition"]: row["watermark_at"] for row in rows}


async def moved(runtime: Runtime, before: dict[int, Any]) -> bool:
    """Return whether every partition has a later watermark."""
    now = await watermarks(runtime)
    return all(now[part] > at for part, at in before.items())


async def test_without_watermarks_no_consent_is_fresh(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """Consents without a watermark for longer than the maximum age are stale, until the next one comes."""
    async with running(
        postgres_dsn, bootstrap, broker_kind, SUBSCRIBER, consent_max_age_seconds=2.0
    ) as subscriber:
        never = await fresh(subscriber, [1])
        async with running(postgres_dsn, bootstrap, broker_kind):
            await until(lambda: fresh(subscriber, range(20)))
        await until(lambda: stale(subscriber, range(20)))
        async with running(postgres_dsn, bootstrap, broker_kind):
            await until(lambda: fresh(subscriber, range(20)))

    assert never is False


async def stale(runtime: Runtime, streams: Sequence[int]) -> bool:
    """Return whether the consents of none of these streams are fresh."""
    return not any([await fresh(runtime, [n]) for n in streams])


async def test_a_watermark_follows_what_was_committed_before_it(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """A subscriber that has consumed a watermark has every event that was committed before it."""
    async with (
        running(postgres_dsn, bootstrap, broker_kind) as sender,
        running(postgres_dsn, bootstrap, broker_kind, SUBSCRIBER) as subscriber,
    ):
        for k in range(1, 16):
            await apply(sender, *(count(n, k) for n in range(20)))
            committed = await sender.pool.fetchval("select clock_timestamp()")
            await until(lambda at=committed: past(subscriber, at))  # type: ignore[misc]
            assert await tallies(subscriber) == all_counted(20, k)


async def past(runtime: Runtime, at: Any) -> bool:
    """Return whether every partition has a watermark after a time."""
    now = await watermarks(runtime)
    return len(now) == 4 and min(now.values()) > at


async def test_watermarks_come_also_under_load(postgres_dsn: str, bootstrap: str, broker_kind: str) -> None:
    """A load without a pause does not make the consents stale."""
    async with (
        running(postgres_dsn, bootstrap, broker_kind) as sender,
        running(postgres_dsn, bootstrap, broker_kind, SUBSCRIBER, consent_max_age_seconds=3.0) as subscriber,
    ):
        await until(lambda: fresh(subscriber, range(20)))
        async with under_way(Load(sender, 90)) as load:
            before = await watermarks(subscriber)
            for _ in range(8):
                await until(lambda at=before: moved(subscriber, at), seconds=20)  # type: ignore[misc]
                before = await watermarks(subscriber)
            each = await load.end()
        await until(lambda: counted(subscriber, 90 * each), seconds=120)


async def test_watermarks_come_also_where_every_read_finds_something(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """Several writers leave the relay no round without events: it never waits."""
    async with (
        running(postgres_dsn, bootstrap, broker_kind) as sender,
        running(postgres_dsn, bootstrap, broker_kind, SUBSCRIBER, consent_max_age_seconds=3.0) as subscriber,
        AsyncExitStack() as writing,
    ):
        await until(lambda: fresh(subscriber, range(20)))
        loads = [
            await writing.enter_async_context(under_way(Load(sender, 1, first=n))) for n in range(WRITERS)
        ]
        for _ in range(3):
            before = await watermarks(subscriber)
            await until(lambda at=before: moved(subscriber, at), seconds=20)  # type: ignore[misc]
        counts = sum([await load.end() for load in loads])
        await until(lambda: counted(subscriber, counts), seconds=60)
