"""What is to be done in the world is done after the commit, at least once, and always under its key."""

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from services.kernel import metrics
from services.kernel.decider.decision import Decision, Effect
from services.kernel.decider.service import EffectContext
from services.kernel.errors import InvalidTransition
from services.kernel.runtime.runtime import Runtime
from tests.logins import alter
from tests.side_effects import PostOffice, Sent, begun, count, lease_ends, performing, rows, rule, seen
from tests.tally import Tally, case_id
from tests.waiting import until


async def test_an_effect_is_performed_once_and_its_outcome_applied(postgres_dsn: str) -> None:
    """The post is sent under its key, with what it is about, and the answer is an input."""
    post = PostOffice()
    async with performing(postgres_dsn, post) as runtime:
        key = await count(runtime)
        performed = await runtime.effects.perform()
        again = await runtime.effects.perform()
        (row,) = await rows(runtime)
        counted = await seen(runtime)

    assert (performed, again) == (1, 0)
    assert post.sent == [key]
    about, (state, private) = post.seen[0]
    assert about == {"stream": str(case_id(1))}
    assert (state, private) == (Tally((key,)), {"word": "private"})
    assert row["outcome"] == "Sent"
    assert counted == [str(key), str(key)]


async def test_an_effect_without_an_answer_is_done(postgres_dsn: str) -> None:
    """Without an outcome for its stream it is only marked."""
    post = PostOffice(answers=False)
    async with performing(postgres_dsn, post) as runtime:
        key = await count(runtime)
        await runtime.effects.perform()
        (row,) = await rows(runtime)
        counted = await seen(runtime)

    assert (row["outcome"], counted) == ("none", [str(key)])


async def test_two_workers_share_the_work(postgres_dsn: str) -> None:
    """While one has it the other leaves it."""
    post = PostOffice()
    async with performing(postgres_dsn, post) as one, performing(postgres_dsn, post) as two:
        keys = [await count(one, n) for n in range(60)]

        async def work(runtime: Runtime) -> None:
            while await runtime.effects.perform():
                pass

        await asyncio.gather(work(one), work(two), work(one), work(two))

    assert sorted(post.sent) == sorted(keys)


async def test_what_fails_is_tried_again_with_a_growing_pause(postgres_dsn: str) -> None:
    """Always under the same key; the pause doubles and ends at six hours."""
    post, pauses = PostOffice(failing=True), []
    async with performing(postgres_dsn, post) as runtime:
        key = await count(runtime)
        for attempts in (0, 1, 2, 3, 30):
            await runtime.pool.execute("update effects set due_at = now(), attempts = $1", attempts)
            await runtime.effects.perform()
            (row,) = await rows(runtime)
            pauses.append(round(row["pause"] / timedelta(seconds=1)))
            assert await runtime.effects.perform() == 0
        post.failing = False
        await lease_ends(runtime)
        await runtime.effects.perform()
        (row,) = await rows(runtime)

    assert pauses == pytest.approx([10, 20, 40, 80, 6 * 3600], abs=4)
    assert set(post.sent) == {key}
    assert row["outcome"] == "Sent"


async def test_one_that_fails_holds_the_others_not_up(postgres_dsn: str) -> None:
    """Each effect of a batch ends by itself."""
    post, cracked = PostOffice(), PostOffice(failing=True)

    async def unlucky(effect: Effect, context: EffectContext) -> Sent | None:
        return await (cracked if effect.about["stream"] == str(case_id(3)) else post).send(effect, context)

    async with performing(postgres_dsn, post, effect_handlers={"letter": unlucky}) as runtime:
        for n in range(6):
            await count(runtime, n)
        await runtime.effects.perform()
        done = sum(row["done_at"] is not None for row in await rows(runtime))

    assert done == 5


async def test_a_crash_between_deed_and_mark_repeats_under_the_same_key(postgres_dsn: str) -> None:
    """The receiver recognises it by its key; nothing is repeated before the lease has expired."""
    post = PostOffice()
    async with performing(postgres_dsn, post) as runtime:
        key = await count(runtime)

        async def vanish() -> None:
            working.cancel()
            await asyncio.Event().wait()

        post.meanwhile = vanish
        working = asyncio.create_task(runtime.effects.perform())
        with pytest.raises(asyncio.CancelledError):
            await working
        post.meanwhile = None
        (row,) = await rows(runtime)
        leased = await runtime.effects.perform()
        await lease_ends(runtime)
        await runtime.effects.perform()
        counted = await seen(runtime)

    assert row["done_at"] is None
    assert leased == 0
    assert post.sent == [key, key]
    assert counted == [str(key), str(key)]


async def test_an_answer_and_its_mark_are_one_transaction(postgres_dsn: str) -> None:
    """A stream that cannot be saved for now leaves the effect open; the retry gives the answer once."""
    post = PostOffice()
    async with performing(postgres_dsn, post) as runtime:
        key = await count(runtime)
        await alter(
            runtime,
            "create function down() returns trigger language plpgsql as "
            "$$ begin raise exception 'down' using errcode = '57P03'; end $$",
        )
        await alter(
            runtime, "create trigger down before insert on event_log for each row execute function down()"
        )
        with pytest.raises(asyncpg.CannotConnectNowError):
            await runtime.effects.perform()
        (row,) = await rows(runtime)
        before = await seen(runtime)
        await alter(runtime, "drop trigger down on event_log")
        await lease_ends(runtime)
        await runtime.effects.perform()
        (after,) = await rows(runtime)
        counted = await seen(runtime)

    assert (row["done_at"], before) == (None, [str(key)])
    assert (after["outcome"], counted) == ("Sent", [str(key), str(key)])


async def test_a_slower_worker_does_not_apply_its_outcome_twice(postgres_dsn: str) -> None:
    """Where a lease has run out while its worker was at it, one of the two answers counts."""
    post, other = PostOffice(), PostOffice()
    async with performing(postgres_dsn, post) as slow, performing(postgres_dsn, other) as quick:
        key = await count(slow)

        async def other_is_faster() -> None:
            await lease_ends(quick)
            await quick.effects.perform()

        post.meanwhile = other_is_faster
        await slow.effects.perform()
        counted = await seen(slow)

    assert (post.sent, other.sent) == ([key], [key])
    assert counted == [str(key), str(key)]


@pytest.mark.parametrize(
    ("fault", "outcome"), [(InvalidTransition("closed"), "wrong-moment"), (ZeroDivisionError(), "bug")]
)
async def test_an_effect_is_not_repeated_because_its_outcome_is_refused(
    postgres_dsn: str, fault: Exception, outcome: str
) -> None:
    """A stream that refuses the outcome, or fails on it, causes no second letter; others are completed."""
    post = PostOffice()

    def refusing(tally: Tally | None, trigger: Any, context: Any) -> Decision:
        if isinstance(trigger, Sent) and context.stream_id == case_id(1):
            raise fault
        return rule(tally, trigger, context)

    async with performing(postgres_dsn, post, decide=refusing) as runtime:
        keys = [await count(runtime, n) for n in (1, 2)]
        await runtime.effects.perform()
        await lease_ends(runtime)
        again = await runtime.effects.perform()
        found = {row["key"]: row["outcome"] for row in await rows(runtime)}

    assert again == 0
    assert sorted(post.sent) == sorted(keys)
    assert found == {keys[0]: outcome, keys[1]: "Sent"}


async def test_an_effect_of_a_command_that_failed_is_never_performed(postgres_dsn: str) -> None:
    """What was not committed did not happen, also not in the world."""
    post = PostOffice()
    async with performing(postgres_dsn, post) as runtime:
        await count(runtime)
        await alter(runtime, "alter table event_log add constraint full_up check (seq < 2) not valid")
        with pytest.raises(asyncpg.CheckViolationError):
            await count(runtime)
        performed = await runtime.effects.perform()

    assert performed == 1
    assert len(post.sent) == 1


async def test_the_loop_begins_at_once_when_something_was_committed(postgres_dsn: str) -> None:
    """A worker that waits is woken by the commit."""
    post = PostOffice()
    async with performing(postgres_dsn, post) as runtime:
        stopping = asyncio.Event()
        loop = asyncio.create_task(runtime.effects.run(stopping))
        keys = [await count(runtime, n) for n in range(3)]

        async def all_rung() -> bool:
            return len(post.sent) == 3

        await until(all_rung)
        stopping.set()
        runtime.effects.wake()
        await loop

    assert sorted(post.sent) == sorted(keys)


async def test_the_loop_goes_on_after_the_database_was_away(postgres_dsn: str) -> None:
    """Connections that were cut are said and opened again."""
    post = PostOffice()
    async with performing(postgres_dsn, post) as runtime:
        key = await count(runtime)
        stranger = await asyncpg.connect(postgres_dsn)
        await stranger.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name = 'samspil consent'"
        )
        await stranger.close()
        stopping = asyncio.Event()
        loop = asyncio.create_task(runtime.effects.run(stopping))

        async def sent() -> bool:
            return bool(post.sent)

        await until(sent)
        stopping.set()
        await loop

    assert set(post.sent) == {key}


async def test_a_foreign_cancellation_does_not_end_the_loop(postgres_dsn: str) -> None:
    """What a deed waits for may be ended; the loop is not, and does not stand still unheard."""
    post = PostOffice()

    async def ended_elsewhere() -> None:
        post.meanwhile = None
        raise asyncio.CancelledError

    post.meanwhile = ended_elsewhere
    async with performing(postgres_dsn, post) as runtime:
        await runtime.start_loops()
        key = await count(runtime)
        runtime.effects.wake()
        await until(lambda: begun(post))
        await lease_ends(runtime)
        await until(lambda: runtime.pool.fetchval("select bool_and(done_at is not null) from effects"))

    assert post.sent == [key, key]


async def test_a_worker_exposes_when_it_polled(postgres_dsn: str) -> None:
    """As long as it performs, or finds nothing to do, the time of its last round goes on."""
    post = PostOffice()
    async with performing(postgres_dsn, post) as runtime:
        looked = metrics.EFFECTS_POLLED.labels(runtime.service.name)
        looked.set(0)
        stopping = asyncio.Event()
        over = asyncio.Event()
        post.meanwhile = over.wait
        await count(runtime)
        loop = asyncio.create_task(runtime.effects.run(stopping))
        await until(lambda: begun(post))
        at_work = looked._value.get()
        over.set()

        async def came_round() -> bool:
            return bool(looked._value.get())

        await until(came_round)
        stopping.set()
        await loop

    assert at_work == 0
