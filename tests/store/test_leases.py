"""A worker holds what it performs by a lease in its name: who dies, sleeps or is late loses nothing."""

import asyncio
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from services.kernel.effects import leases
from services.kernel.runtime.runtime import Runtime
from tests.ringing import Bell, begun, count, lease_ends, ringing, rows, seen
from tests.waiting import until


async def test_what_takes_long_is_held_by_its_worker(
    postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as a worker is at it, nobody else begins; the lease is much shorter than the work may take."""
    monkeypatch.setattr(leases, "_LEASE", timedelta(seconds=3))
    monkeypatch.setattr(leases, "_RENEW_SECONDS", 0.2)
    over = asyncio.Event()
    bell = Bell(meanwhile=over.wait)
    async with ringing(postgres_dsn, bell) as slow, ringing(postgres_dsn, Bell()) as quick:
        await count(slow)
        working = asyncio.create_task(slow.effects.perform())

        async def outlived() -> bool:
            found: bool = await slow.pool.fetchval(
                "select bool_and(due_at > now() and due_at - interval '6 seconds' > $1) from effects",
                began,
            )
            return found

        began = await slow.pool.fetchval("select now()")
        await until(outlived)
        stolen = await quick.effects.perform()
        over.set()
        done = await working

    assert (stolen, done) == (0, 1)


async def test_what_a_dead_worker_had_taken_is_soon_taken_up(
    postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is gone renews nothing, and another performs what was left."""
    monkeypatch.setattr(leases, "_LEASE", timedelta(seconds=0.3))
    dying = Bell(meanwhile=asyncio.Event().wait)
    bell = Bell()
    async with ringing(postgres_dsn, dying) as gone, ringing(postgres_dsn, bell) as other:
        key = await count(gone)
        working = asyncio.create_task(gone.effects.perform())
        await until(lambda: begun(dying))
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)

        async def taken_up() -> bool:
            return await other.effects.perform() == 1

        await until(taken_up)

    assert bell.rung == [key]


async def test_what_was_done_and_could_not_be_marked_is_not_done_again(postgres_dsn: str) -> None:
    """When the database is away after the bell was rung, only the mark is tried again."""
    bell = Bell()
    async with ringing(postgres_dsn, bell) as runtime:
        key = await count(runtime)

        async def hide() -> None:
            await runtime.pool.execute("alter table effects rename to away")
            await runtime.pool.execute(
                "create view effects as select * from away where pg_terminate_backend(pg_backend_pid())"
            )

        bell.meanwhile = hide
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await runtime.effects.perform()
        await runtime.pool.execute("drop view effects")
        await runtime.pool.execute("alter table away rename to effects")
        await lease_ends(runtime)
        again = await runtime.effects.perform()
        (row,) = await rows(runtime)

    assert again == 0
    assert bell.rung == [key]
    assert row["outcome"] == "Rung"
    assert not runtime.effects._completion._left
    assert not runtime.effects._leases._until


async def test_what_another_has_marked_is_forgotten(postgres_dsn: str) -> None:
    """Who could not mark what it had done does not remember it for ever once somebody else has marked it."""
    bell, other = Bell(), Bell()
    async with ringing(postgres_dsn, bell) as slow, ringing(postgres_dsn, other) as quick:
        key = await count(slow)
        await out_of_order(slow)
        with pytest.raises(asyncpg.CannotConnectNowError):
            await slow.effects.perform()
        unmarked = set(slow.effects._completion._left)
        await in_order(slow)
        await lease_ends(quick)
        await quick.effects.perform()
        await slow.effects.perform()
        counted = await seen(slow)

    assert (unmarked, other.rung) == ({key}, [key])
    assert not slow.effects._completion._left
    assert not slow.effects._leases._until
    assert counted == [str(key), str(key)]


async def out_of_order(runtime: Runtime) -> None:
    """Let no effect be marked for now."""
    await runtime.pool.execute(
        "create or replace function down() returns trigger language plpgsql as "
        "$$ begin raise exception 'down' using errcode = '57P03'; end $$"
    )
    await runtime.pool.execute(
        "create trigger down before update of done_at on effects for each row execute function down()"
    )


async def in_order(runtime: Runtime) -> None:
    """Let effects be marked again."""
    await runtime.pool.execute("drop trigger down on effects")


async def test_while_the_database_was_away_nobody_died(
    postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Back after longer than a lease, it hears first from who has done something: no bell rings twice."""
    monkeypatch.setattr(leases, "_LEASE", timedelta(seconds=2))
    bell = Bell()
    async with ringing(postgres_dsn, bell) as one, ringing(postgres_dsn, bell) as two:
        stopping = asyncio.Event()
        await out_of_order(one)
        key = await count(one)
        with pytest.raises(asyncpg.CannotConnectNowError):
            await one.effects.perform()
        await one.pool.execute("alter table effects rename to away")
        await one.pool.execute("create view effects as select * from away where 1 / 0 = 1")
        loop = asyncio.create_task(two.effects.run(stopping))
        await until(lambda: ended(loop))
        await one.pool.execute("drop view effects")
        await one.pool.execute("alter table away rename to effects")
        await in_order(one)
        await lease_ends(one)
        claimed = await two.effects.perform()
        await one.effects.perform()
        (row,) = await rows(one)

    assert isinstance(loop.exception(), asyncpg.DivisionByZeroError)
    assert claimed == 0
    assert bell.rung == [key]
    assert row["outcome"] == "Rung"


async def ended(task: asyncio.Task[None]) -> bool:
    """Return whether a task is over."""
    return task.done()


async def test_who_slept_does_not_begin_on_a_lease_that_ran_out(
    postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between taking and doing a process may be put to sleep; awake, it leaves the deed to others."""
    monkeypatch.setattr(leases, "_LEASE", timedelta(0))
    bell, other = Bell(), Bell()
    async with ringing(postgres_dsn, bell) as slow, ringing(postgres_dsn, other) as quick:
        key = await count(slow)
        taken = await slow.effects.perform()
        monkeypatch.setattr(leases, "_LEASE", timedelta(seconds=10))
        await quick.effects.perform()

    assert taken == 1
    assert (bell.rung, other.rung) == ([], [key])


async def test_who_is_told_to_end_marks_what_is_done(postgres_dsn: str) -> None:
    """A deploy in the middle of a deed waits for it: no bell is rung twice because a process was replaced."""
    over = asyncio.Event()
    bell = Bell(meanwhile=over.wait)
    async with ringing(postgres_dsn, bell) as runtime:
        await runtime.start_loops()
        key = await count(runtime)
        runtime.effects.wake()
        await until(lambda: begun(bell))
        stopping = asyncio.create_task(runtime.stop())
        await asyncio.wait({stopping}, timeout=3)
        over.set()
        await stopping
    async with ringing(postgres_dsn, bell) as another:
        (row,) = await rows(another)

    assert bell.rung == [key]
    assert row["outcome"] == "Rung"


async def leased(runtime: Runtime) -> list[tuple[UUID, bool]]:
    """Return what is in hand, and whether its lease still lasts for some seconds."""
    return [(row["key"], row["pause"] > timedelta(seconds=6)) for row in await rows(runtime)]


async def test_a_renewal_under_way_holds_up_nobody_who_is_told_to_end(
    postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker whose renewal waits for the database ends all the same: it once went on for ever."""
    monkeypatch.setattr(leases, "_RENEW_SECONDS", 0.05)
    bell = Bell(meanwhile=asyncio.Event().wait)
    stranger = await asyncpg.connect(postgres_dsn)
    async with ringing(postgres_dsn, bell) as runtime:
        await count(runtime)
        working = asyncio.create_task(runtime.effects.perform())
        await until(lambda: begun(bell))
        async with stranger.transaction():
            await stranger.execute("lock table consent.effects in access exclusive mode")
            await until(lambda: runtime.pool.fetchval(_RENEWAL_WAITS))
            working.cancel()
            await asyncio.wait({working}, timeout=30)
            ended = working.done()
    await stranger.close()

    assert ended


_RENEWAL_WAITS = (
    "select exists (select from pg_stat_activity where wait_event_type = 'Lock' and query like '%due_at%')"
)


async def test_what_was_taken_unheard_is_soon_taken_again(postgres_dsn: str) -> None:
    """A worker that never heard what it had taken needs no pause after a fault; it cannot have begun."""
    bell, other = Bell(), Bell()
    async with ringing(postgres_dsn, bell) as one, ringing(postgres_dsn, other) as two:
        key = await count(one)
        await one.effects._leases.claim(20)
        one.effects._leases.forget(key)
        for runtime in (one, two):
            runtime.effects._leases.mark_unhealthy()
        early = await one.effects.perform()
        await lease_ends(one)
        others = await two.effects.perform()
        own = await one.effects.perform()

    assert (early, others, own) == (0, 0, 1)
    assert (bell.rung, other.rung) == ([key], [])


async def test_who_has_just_begun_leaves_what_others_hold(postgres_dsn: str) -> None:
    """It cannot know whether the database was away, and they could not renew."""
    bell, other = Bell(), Bell()
    async with ringing(postgres_dsn, bell) as one:
        await count(one)
        await one.effects._leases.claim(20)
        await lease_ends(one)
        async with ringing(postgres_dsn, other) as fresh:
            fresh.effects._leases.mark_unhealthy()
            taken = await fresh.effects.perform()

    assert (taken, other.rung) == (0, [])


async def test_what_was_given_back_is_nobodys(postgres_dsn: str) -> None:
    """After an attempt in vain whoever comes first tries it, also just after a fault of the database."""
    bell, other = Bell(failing=True), Bell()
    async with ringing(postgres_dsn, bell) as one, ringing(postgres_dsn, other) as two:
        key = await count(one)
        await one.effects.perform()
        two.effects._leases.mark_unhealthy()
        await lease_ends(two)
        taken = await two.effects.perform()

    assert (taken, other.rung) == (1, [key])


async def test_who_has_lost_a_lease_leaves_it_as_it_is(postgres_dsn: str) -> None:
    """A worker that fails after another has taken over does not end the other's lease."""
    over = asyncio.Event()
    bell, other = Bell(failing=True), Bell(meanwhile=over.wait)
    async with ringing(postgres_dsn, bell) as slow, ringing(postgres_dsn, other) as quick:
        key = await count(slow)

        async def other_takes_over() -> None:
            await lease_ends(quick)
            await quick.pool.execute("update effects set attempts = 0")
            tasks.append(asyncio.create_task(quick.effects.perform()))
            await until(lambda: begun(other))

        tasks: list[asyncio.Task[int]] = []
        bell.meanwhile = other_takes_over
        await slow.effects.perform()
        in_hand = await leased(slow)
        over.set()
        await asyncio.gather(*tasks)

    assert in_hand == [(key, True)]
    assert other.rung == [key]
