"""A worker holds a lease on what it performs: one that dies, is suspended or is late loses nothing."""

import asyncio
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from services.kernel.limits import Limits
from services.kernel.runtime.runtime import Runtime
from tests.logins import alter
from tests.side_effects import PostOffice, begun, count, lease_ends, performing, rows, seen
from tests.tally import TENANT
from tests.waiting import until

GRANT = "grant select, update on effects to samspil_consent"


async def test_a_slow_effect_stays_leased_to_its_worker(postgres_dsn: str) -> None:
    """While a worker performs an effect no other begins it, however much shorter the lease is."""
    limits = Limits(lease_seconds=3, lease_renew_seconds=0.2)
    over = asyncio.Event()
    post = PostOffice(meanwhile=over.wait)
    async with (
        performing(postgres_dsn, post, limits=limits) as slow,
        performing(postgres_dsn, PostOffice()) as quick,
    ):
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


async def test_the_effects_of_a_dead_worker_are_soon_claimed(postgres_dsn: str) -> None:
    """A dead worker renews nothing, and another performs what it left."""
    limits = Limits(lease_seconds=0.3)
    dying = PostOffice(meanwhile=asyncio.Event().wait)
    post = PostOffice()
    async with (
        performing(postgres_dsn, dying, limits=limits) as gone,
        performing(postgres_dsn, post, limits=limits) as other,
    ):
        key = await count(gone)
        working = asyncio.create_task(gone.effects.perform())
        await until(lambda: begun(dying))
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)

        async def taken_up() -> bool:
            return await other.effects.perform() == 1

        await until(taken_up)

    assert post.sent == [key]


async def test_an_effect_that_could_not_be_completed_is_not_repeated(postgres_dsn: str) -> None:
    """When the database is away after the post was sent, only the mark is tried again."""
    post = PostOffice()
    async with performing(postgres_dsn, post) as runtime:
        key = await count(runtime)

        async def hide() -> None:
            await alter(runtime, "alter table effects rename to away")
            await alter(
                runtime,
                "create view effects as select * from away where pg_terminate_backend(pg_backend_pid())",
                "grant select, update on effects to samspil_consent",
            )

        post.meanwhile = hide
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await runtime.effects.perform()
        await alter(runtime, "drop view effects")
        await alter(runtime, "alter table away rename to effects")
        await lease_ends(runtime)
        again = await runtime.effects.perform()
        (row,) = await rows(runtime)

    assert again == 0
    assert post.sent == [key]
    assert row["outcome"] == "Sent"
    assert not runtime.effects._completion._incomplete
    assert not runtime.effects._leases._until


async def test_an_effect_that_another_has_completed_is_forgotten(postgres_dsn: str) -> None:
    """A worker does not remember for ever what it could not complete and another has completed."""
    post, other = PostOffice(), PostOffice()
    async with performing(postgres_dsn, post) as slow, performing(postgres_dsn, other) as quick:
        key = await count(slow)
        await out_of_order(slow)
        with pytest.raises(asyncpg.CannotConnectNowError):
            await slow.effects.perform()
        unmarked = set(slow.effects._completion._incomplete)
        await in_order(slow)
        await lease_ends(quick)
        await quick.effects.perform()
        await slow.effects.perform()
        counted = await seen(slow)

    assert (unmarked, other.sent) == ({(TENANT, key)}, [key])
    assert not slow.effects._completion._incomplete
    assert not slow.effects._leases._until
    assert counted == [str(key), str(key)]


async def out_of_order(runtime: Runtime) -> None:
    """Let no effect be marked for now."""
    await alter(
        runtime,
        "create or replace function down() returns trigger language plpgsql as "
        "$$ begin raise exception 'down' using errcode = '57P03'; end $$",
    )
    await alter(
        runtime,
        "create trigger down before update of done_at on effects for each row execute function down()",
    )


async def in_order(runtime: Runtime) -> None:
    """Let effects be marked again."""
    await alter(runtime, "drop trigger down on effects")


async def test_an_outage_of_the_database_is_no_death_of_a_worker(postgres_dsn: str) -> None:
    """Back after longer than a lease, the worker that has performed comes first: no letter is sent twice."""
    limits = Limits(lease_seconds=2)
    post = PostOffice()
    async with (
        performing(postgres_dsn, post, limits=limits) as one,
        performing(postgres_dsn, post, limits=limits) as two,
    ):
        stopping = asyncio.Event()
        await out_of_order(one)
        key = await count(one)
        with pytest.raises(asyncpg.CannotConnectNowError):
            await one.effects.perform()
        await alter(one, "alter table effects rename to away")
        await alter(
            one,
            "create view effects as select * from away where 1 / 0 = 1",
            "grant select, update on effects to samspil_consent",
        )
        loop = asyncio.create_task(two.effects.run(stopping))
        await until(lambda: ended(loop))
        await alter(one, "drop view effects")
        await alter(one, "alter table away rename to effects")
        await in_order(one)
        await lease_ends(one)
        claimed = await two.effects.perform()
        await one.effects.perform()
        (row,) = await rows(one)

    assert isinstance(loop.exception(), asyncpg.DivisionByZeroError)
    assert claimed == 0
    assert post.sent == [key]
    assert row["outcome"] == "Sent"


async def ended(task: asyncio.Task[None]) -> bool:
    """Return whether a task is over."""
    return task.done()


async def test_a_suspended_worker_begins_nothing_under_an_expired_lease(postgres_dsn: str) -> None:
    """Between taking and doing a process may be put to sleep; awake, it leaves the deed to others."""
    post, other = PostOffice(), PostOffice()
    async with (
        performing(postgres_dsn, post, limits=Limits(lease_seconds=0)) as slow,
        performing(postgres_dsn, other) as quick,
    ):
        key = await count(slow)
        taken = await slow.effects.perform()
        await quick.effects.perform()

    assert taken == 1
    assert (post.sent, other.sent) == ([], [key])


async def test_a_worker_that_stops_completes_what_it_performed(postgres_dsn: str) -> None:
    """A deploy in the middle of a deed waits for it: no post is sent twice because a process was replaced."""
    over = asyncio.Event()
    post = PostOffice(meanwhile=over.wait)
    async with performing(postgres_dsn, post) as runtime:
        await runtime.start_loops()
        key = await count(runtime)
        runtime.effects.wake()
        await until(lambda: begun(post))
        stopping = asyncio.create_task(runtime.stop())
        await asyncio.wait({stopping}, timeout=3)
        over.set()
        await stopping
    async with performing(postgres_dsn, post) as another:
        (row,) = await rows(another)

    assert post.sent == [key]
    assert row["outcome"] == "Sent"


async def leased(runtime: Runtime) -> list[tuple[UUID, bool]]:
    """Return what is leased, and whether the lease lasts for some seconds more."""
    return [(row["key"], row["pause"] > timedelta(seconds=6)) for row in await rows(runtime)]


async def test_a_renewal_does_not_delay_a_stop(postgres_dsn: str) -> None:
    """A worker whose renewal waits for the database ends all the same: it once went on for ever."""
    limits = Limits(lease_renew_seconds=0.05)
    post = PostOffice(meanwhile=asyncio.Event().wait)
    stranger = await asyncpg.connect(postgres_dsn)
    async with performing(postgres_dsn, post, limits=limits) as runtime:
        await count(runtime)
        working = asyncio.create_task(runtime.effects.perform())
        await until(lambda: begun(post))
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


async def test_a_claim_whose_answer_was_lost_is_soon_repeated(postgres_dsn: str) -> None:
    """A worker whose claim was not answered needs no pause after a fault; it cannot have begun."""
    post, other = PostOffice(), PostOffice()
    async with performing(postgres_dsn, post) as one, performing(postgres_dsn, other) as two:
        key = await count(one)
        await one.effects._leases.claim(20)
        one.effects._leases.forget((TENANT, key))
        for runtime in (one, two):
            runtime.effects._leases.mark_unhealthy()
        early = await one.effects.perform()
        await lease_ends(one)
        others = await two.effects.perform()
        own = await one.effects.perform()

    assert (early, others, own) == (0, 0, 1)
    assert (post.sent, other.sent) == ([key], [])


async def test_a_new_worker_leaves_the_leases_of_others(postgres_dsn: str) -> None:
    """It cannot know whether the database was away, and they could not renew."""
    post, other = PostOffice(), PostOffice()
    async with performing(postgres_dsn, post) as one:
        await count(one)
        await one.effects._leases.claim(20)
        await lease_ends(one)
        async with performing(postgres_dsn, other) as fresh:
            fresh.effects._leases.mark_unhealthy()
            taken = await fresh.effects.perform()

    assert (taken, other.sent) == (0, [])


async def test_a_released_effect_has_no_worker(postgres_dsn: str) -> None:
    """After a failed attempt any worker tries it, also just after a fault of the database."""
    post, other = PostOffice(failing=True), PostOffice()
    async with performing(postgres_dsn, post) as one, performing(postgres_dsn, other) as two:
        key = await count(one)
        await one.effects.perform()
        two.effects._leases.mark_unhealthy()
        await lease_ends(two)
        taken = await two.effects.perform()

    assert (taken, other.sent) == (1, [key])


async def test_a_lost_lease_is_not_changed(postgres_dsn: str) -> None:
    """A worker that fails after another has taken over does not end the other's lease."""
    over = asyncio.Event()
    post, other = PostOffice(failing=True), PostOffice(meanwhile=over.wait)
    async with performing(postgres_dsn, post) as slow, performing(postgres_dsn, other) as quick:
        key = await count(slow)

        async def other_takes_over() -> None:
            await lease_ends(quick)
            await quick.pool.execute("update effects set attempts = 0")
            tasks.append(asyncio.create_task(quick.effects.perform()))
            await until(lambda: begun(other))

        tasks: list[asyncio.Task[int]] = []
        post.meanwhile = other_takes_over
        await slow.effects.perform()
        kept_lease = await leased(slow)
        over.set()
        await asyncio.gather(*tasks)

    assert kept_lease == [(key, True)]
    assert other.sent == [key]
