"""What is to be done in the world is done after the commit, at least once, and always under its key."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from msgspec import Struct

from services.kernel import leases, metrics
from services.kernel.decision import Actor, Decision, Effect, Seal
from services.kernel.errors import WrongMoment
from services.kernel.ids import new_id
from services.kernel.runtime import Runtime
from services.kernel.service import Hands
from services.kernel.weighing import Asked
from tests.tally import ACTOR, START, TALLY, TENANT, Count, Tally, case_id, decide, running
from tests.waiting import until


class Rung(Struct, frozen=True):
    """The bell was rung."""

    key: UUID


@dataclass
class Bell:
    """What rings in the world, and how it goes."""

    rung: list[UUID] = field(default_factory=list)
    failing: bool = False
    answers: bool = True
    meanwhile: Callable[[], Any] | None = None
    seen: list[Any] = field(default_factory=list)

    async def ring(self, effect: Effect, hands: Hands) -> Rung | None:
        """Ring, or fail as the world does."""
        self.rung.append(effect.key)
        self.seen.append((dict(effect.about), await hands.read(UUID(effect.about["stream"]))))
        if self.meanwhile is not None:
            await self.meanwhile()
        if self.failing:
            raise ConnectionRefusedError
        return Rung(effect.key) if self.answers else None


def rule(tally: Tally | None, asked: Any, given: Any) -> Decision:
    """Ask for a bell with every count, under the count's id; note every bell that was rung."""
    if isinstance(asked, Rung):
        return decide(tally, Count(asked.key), given)
    counted = decide(tally, asked, given)
    effect = Effect(asked.referral_id, "bell", {"stream": str(given.stream_id)})
    seals = (Seal(ACTOR, "word", "private"),)
    return Decision(counted.state, counted.events, seals=seals, effects=(effect,))


@asynccontextmanager
async def ringing(dsn: str, bell: Bell, **more: Any) -> AsyncIterator[Runtime]:
    """Run a tally that rings; nothing is performed by itself."""
    service = replace(TALLY, **{"decide": rule, "perform": {"bell": bell.ring}, **more})
    async with running(dsn, "", "none", service) as runtime:
        runtime.effects._leases._well_since = 0.0  # it has run for long
        yield runtime


async def count(runtime: Runtime, n: int = 1) -> UUID:
    """Count once in the n-th stream, and return the key of the bell that it asks for."""
    cause, key = str(new_id()), new_id()
    actor = Actor(ACTOR, "caseworker", TENANT)
    async with runtime.pool.acquire() as tx:
        asked = Asked(case_id(n), TENANT, Count(key), actor, START, cause, cause)
        await runtime.step.apply(tx, [asked])
    return key


async def rows(runtime: Runtime) -> list[asyncpg.Record]:
    """Return what there is to do, and what became of it."""
    found: list[asyncpg.Record] = await runtime.pool.fetch(
        "select *, due_at - now() as pause from effects order by key"
    )
    return found


async def lease_ends(runtime: Runtime) -> None:
    """Let the time of a worker that has vanished run out."""
    await runtime.pool.execute("update effects set due_at = now() where done_at is null")


async def seen(runtime: Runtime, n: int = 1) -> list[str]:
    """Return what the n-th stream has counted."""
    found: list[str] = await runtime.pool.fetchval(
        "select array(select jsonb_array_elements_text(state::jsonb -> 'seen')) "
        "from streams where stream_id = $1",
        case_id(n),
    )
    return found


async def test_an_effect_is_performed_once_and_its_stream_hears_of_it(postgres_dsn: str) -> None:
    """The bell is rung under its key, with what it is about at hand, and the answer is an input."""
    bell = Bell()
    async with ringing(postgres_dsn, bell) as runtime:
        key = await count(runtime)
        performed = await runtime.effects.perform()
        again = await runtime.effects.perform()
        (row,) = await rows(runtime)
        counted = await seen(runtime)

    assert (performed, again) == (1, 0)
    assert bell.rung == [key]
    about, (state, private) = bell.seen[0]
    assert about == {"stream": str(case_id(1))}
    assert (state, private) == (Tally((key,)), {"word": "private"})
    assert row["outcome"] == "Rung"
    assert counted == [str(key), str(key)]


async def test_an_effect_without_an_answer_is_done(postgres_dsn: str) -> None:
    """Where nobody needs to hear of it, it is marked and no more."""
    bell = Bell(answers=False)
    async with ringing(postgres_dsn, bell) as runtime:
        key = await count(runtime)
        await runtime.effects.perform()
        (row,) = await rows(runtime)
        counted = await seen(runtime)

    assert (row["outcome"], counted) == ("none", [str(key)])


async def test_two_workers_share_the_work(postgres_dsn: str) -> None:
    """While one has it the other leaves it."""
    bell = Bell()
    async with ringing(postgres_dsn, bell) as one, ringing(postgres_dsn, bell) as two:
        keys = [await count(one, n) for n in range(60)]

        async def work(runtime: Runtime) -> None:
            while await runtime.effects.perform():
                pass

        await asyncio.gather(work(one), work(two), work(one), work(two))

    assert sorted(bell.rung) == sorted(keys)


async def test_what_fails_is_tried_again_with_a_growing_pause(postgres_dsn: str) -> None:
    """Always under the same key; the pause doubles and ends at six hours."""
    bell, pauses = Bell(failing=True), []
    async with ringing(postgres_dsn, bell) as runtime:
        key = await count(runtime)
        for attempts in (0, 1, 2, 3, 30):
            await runtime.pool.execute("update effects set due_at = now(), attempts = $1", attempts)
            await runtime.effects.perform()
            (row,) = await rows(runtime)
            pauses.append(round(row["pause"] / timedelta(seconds=1)))
            assert await runtime.effects.perform() == 0
        bell.failing = False
        await lease_ends(runtime)
        await runtime.effects.perform()
        (row,) = await rows(runtime)

    assert pauses == pytest.approx([10, 20, 40, 80, 6 * 3600], abs=4)
    assert set(bell.rung) == {key}
    assert row["outcome"] == "Rung"


async def test_one_that_fails_holds_the_others_not_up(postgres_dsn: str) -> None:
    """Each effect of a portion ends by itself."""
    bell, cracked = Bell(), Bell(failing=True)

    async def unlucky(effect: Effect, hands: Hands) -> Rung | None:
        return await (cracked if effect.about["stream"] == str(case_id(3)) else bell).ring(effect, hands)

    async with ringing(postgres_dsn, bell, perform={"bell": unlucky}) as runtime:
        for n in range(6):
            await count(runtime, n)
        await runtime.effects.perform()
        done = sum(row["done_at"] is not None for row in await rows(runtime))

    assert done == 5


async def test_a_crash_between_deed_and_mark_repeats_under_the_same_key(postgres_dsn: str) -> None:
    """Whoever receives it can tell that it is the same; nothing is repeated before the lease has run out."""
    bell = Bell()
    async with ringing(postgres_dsn, bell) as runtime:
        key = await count(runtime)

        async def vanish() -> None:
            working.cancel()
            await asyncio.Event().wait()

        bell.meanwhile = vanish
        working = asyncio.create_task(runtime.effects.perform())
        with pytest.raises(asyncio.CancelledError):
            await working
        bell.meanwhile = None
        (row,) = await rows(runtime)
        leased = await runtime.effects.perform()
        await lease_ends(runtime)
        await runtime.effects.perform()
        counted = await seen(runtime)

    assert row["done_at"] is None
    assert leased == 0
    assert bell.rung == [key, key]
    assert counted == [str(key), str(key)]


async def test_an_answer_and_its_mark_are_one_transaction(postgres_dsn: str) -> None:
    """A stream that cannot be saved for now leaves the effect open; the retry gives the answer once."""
    bell = Bell()
    async with ringing(postgres_dsn, bell) as runtime:
        key = await count(runtime)
        await runtime.pool.execute(
            "create function down() returns trigger language plpgsql as "
            "$$ begin raise exception 'down' using errcode = '57P03'; end $$"
        )
        await runtime.pool.execute(
            "create trigger down before insert on event_log for each row execute function down()"
        )
        with pytest.raises(asyncpg.CannotConnectNowError):
            await runtime.effects.perform()
        (row,) = await rows(runtime)
        before = await seen(runtime)
        await runtime.pool.execute("drop trigger down on event_log")
        await lease_ends(runtime)
        await runtime.effects.perform()
        (after,) = await rows(runtime)
        counted = await seen(runtime)

    assert (row["done_at"], before) == (None, [str(key)])
    assert (after["outcome"], counted) == ("Rung", [str(key), str(key)])


async def test_a_slower_worker_does_not_tell_the_stream_twice(postgres_dsn: str) -> None:
    """Where a lease has run out while its worker was at it, one of the two answers counts."""
    bell, other = Bell(), Bell()
    async with ringing(postgres_dsn, bell) as slow, ringing(postgres_dsn, other) as quick:
        key = await count(slow)

        async def other_is_faster() -> None:
            await lease_ends(quick)
            await quick.effects.perform()

        bell.meanwhile = other_is_faster
        await slow.effects.perform()
        counted = await seen(slow)

    assert (bell.rung, other.rung) == ([key], [key])
    assert counted == [str(key), str(key)]


@pytest.mark.parametrize(
    ("fault", "outcome"), [(WrongMoment("closed"), "wrong-moment"), (ZeroDivisionError(), "bug")]
)
async def test_what_was_done_is_not_done_again_because_nobody_hears_of_it(
    postgres_dsn: str, fault: Exception, outcome: str
) -> None:
    """A stream that refuses the answer, or breaks on it, costs no second bell; the others are told."""
    bell = Bell()

    def deaf(tally: Tally | None, asked: Any, given: Any) -> Decision:
        if isinstance(asked, Rung) and given.stream_id == case_id(1):
            raise fault
        return rule(tally, asked, given)

    async with ringing(postgres_dsn, bell, decide=deaf) as runtime:
        keys = [await count(runtime, n) for n in (1, 2)]
        await runtime.effects.perform()
        await lease_ends(runtime)
        again = await runtime.effects.perform()
        found = {row["key"]: row["outcome"] for row in await rows(runtime)}

    assert again == 0
    assert sorted(bell.rung) == sorted(keys)
    assert found == {keys[0]: outcome, keys[1]: "Rung"}


async def test_an_effect_of_a_command_that_failed_is_never_performed(postgres_dsn: str) -> None:
    """What was not committed did not happen, also not in the world."""
    bell = Bell()
    async with ringing(postgres_dsn, bell) as runtime:
        await count(runtime)
        async with runtime.pool.acquire() as tx, tx.transaction():
            await tx.execute("alter table event_log add constraint full_up check (seq < 2) not valid")
        with pytest.raises(asyncpg.CheckViolationError):
            await count(runtime)
        performed = await runtime.effects.perform()

    assert performed == 1
    assert len(bell.rung) == 1


async def test_the_loop_begins_at_once_when_something_was_committed(postgres_dsn: str) -> None:
    """A worker that waits is woken by the commit."""
    bell = Bell()
    async with ringing(postgres_dsn, bell) as runtime:
        stopping = asyncio.Event()
        loop = asyncio.create_task(runtime.effects.run(stopping))
        keys = [await count(runtime, n) for n in range(3)]

        async def all_rung() -> bool:
            return len(bell.rung) == 3

        await until(all_rung)
        stopping.set()
        runtime.effects.wake()
        await loop

    assert sorted(bell.rung) == sorted(keys)


async def test_the_loop_goes_on_after_the_database_was_away(postgres_dsn: str) -> None:
    """Connections that were cut are said and opened again."""
    bell = Bell()
    async with ringing(postgres_dsn, bell) as runtime:
        key = await count(runtime)
        stranger = await asyncpg.connect(postgres_dsn)
        await stranger.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name = 'samspil consent'"
        )
        await stranger.close()
        stopping = asyncio.Event()
        loop = asyncio.create_task(runtime.effects.run(stopping))

        async def rung() -> bool:
            return bool(bell.rung)

        await until(rung)
        stopping.set()
        await loop

    assert set(bell.rung) == {key}


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


async def begun(bell: Bell) -> bool:
    """Return whether somebody has begun to ring."""
    return bool(bell.rung)


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
    assert not runtime.effects._marking._left
    assert not runtime.effects._leases._until


async def test_what_another_has_marked_is_forgotten(postgres_dsn: str) -> None:
    """Who could not mark what it had done does not remember it for ever once somebody else has marked it."""
    bell, other = Bell(), Bell()
    async with ringing(postgres_dsn, bell) as slow, ringing(postgres_dsn, other) as quick:
        key = await count(slow)
        await out_of_order(slow)
        with pytest.raises(asyncpg.CannotConnectNowError):
            await slow.effects.perform()
        unmarked = set(slow.effects._marking._left)
        await in_order(slow)
        await lease_ends(quick)
        await quick.effects.perform()
        await slow.effects.perform()
        counted = await seen(slow)

    assert (unmarked, other.rung) == ({key}, [key])
    assert not slow.effects._marking._left
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
        await runtime.listen()
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
        await one.effects._leases.take(20)
        one.effects._leases.drop(key)
        for runtime in (one, two):
            runtime.effects._leases.trouble()
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
        await one.effects._leases.take(20)
        await lease_ends(one)
        async with ringing(postgres_dsn, other) as fresh:
            fresh.effects._leases.trouble()
            taken = await fresh.effects.perform()

    assert (taken, other.rung) == (0, [])


async def test_what_was_given_back_is_nobodys(postgres_dsn: str) -> None:
    """After an attempt in vain whoever comes first tries it, also just after a fault of the database."""
    bell, other = Bell(failing=True), Bell()
    async with ringing(postgres_dsn, bell) as one, ringing(postgres_dsn, other) as two:
        key = await count(one)
        await one.effects.perform()
        two.effects._leases.trouble()
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


async def test_one_that_asked_in_vain_keeps_nobody_from_reading(postgres_dsn: str) -> None:
    """A reading that was ended before it began is not waited for by whoever reads next."""
    async with ringing(postgres_dsn, Bell()) as runtime:
        await count(runtime)
        hands = runtime.effects._hands
        asking = asyncio.create_task(hands.read(case_id(1)))
        await asyncio.sleep(0)
        assert hands._reading is not None
        hands._reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        _, private = await hands.read(case_id(1))

    assert private == {"word": "private"}


async def test_a_loop_that_somebody_elses_end_reaches_goes_on(postgres_dsn: str) -> None:
    """What a deed waits for may be ended; the loop is not, and does not stand still unheard."""
    bell = Bell()

    async def ended_elsewhere() -> None:
        bell.meanwhile = None
        raise asyncio.CancelledError

    bell.meanwhile = ended_elsewhere
    async with ringing(postgres_dsn, bell) as runtime:
        await runtime.listen()
        key = await count(runtime)
        runtime.effects.wake()
        await until(lambda: begun(bell))
        await lease_ends(runtime)
        await until(lambda: runtime.pool.fetchval("select bool_and(done_at is not null) from effects"))

    assert bell.rung == [key, key]


async def test_a_worker_tells_that_it_comes_round(postgres_dsn: str) -> None:
    """As long as it performs, or finds nothing to do, the time of its last round goes on."""
    bell = Bell()
    async with ringing(postgres_dsn, bell) as runtime:
        looked = metrics.EFFECTS_LOOKED.labels(runtime.service.name)
        looked.set(0)
        stopping = asyncio.Event()
        over = asyncio.Event()
        bell.meanwhile = over.wait
        await count(runtime)
        loop = asyncio.create_task(runtime.effects.run(stopping))
        await until(lambda: begun(bell))
        at_work = looked._value.get()
        over.set()

        async def came_round() -> bool:
            return bool(looked._value.get())

        await until(came_round)
        stopping.set()
        await loop

    assert at_work == 0
