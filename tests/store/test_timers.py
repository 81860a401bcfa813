"""Timers: each fires once and in order at any worker, and a broken rule delays no other stream."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from services.kernel.clock import VirtualClock
from services.kernel.decider.decision import Actor, Decision, Timer, TimerFired
from services.kernel.ids import new_id
from services.kernel.postgres.connections import connect
from services.kernel.privacy.key_store import FileKeyStore, KeyStore, KeyStoreUnavailable
from services.kernel.runtime.assembly import key_store_of
from services.kernel.runtime.runtime import Runtime
from services.kernel.scheduling.timers import Timers
from services.kernel.streams.envelopes import Envelope
from tests.tally import ACTOR, START, TALLY, TENANT, Count, Tally, case_id, decide, running
from tests.transit import transit

NIGHT = timedelta(days=1)
BROKEN, REFUSED = UUID(int=66), UUID(int=0)
Fired = list[tuple[UUID, UUID, datetime, datetime]]


@pytest.fixture
def clock(tmp_path: Path) -> VirtualClock:
    """Stand at the beginning."""
    return VirtualClock(tmp_path / "clock", START)


def recording(fired: Fired) -> Callable[[Any, Any, Any], Decision]:
    """Return the tally's rule, which also records what fired when; two timers break it or are refused."""

    def rule(state: Tally | None, trigger: Any, context: Any) -> Decision:
        if isinstance(trigger, TimerFired):
            if trigger.ref == BROKEN:
                raise ZeroDivisionError
            if trigger.ref == REFUSED:
                return decide(state, Count(REFUSED), context)
            fired.append((context.stream_id, trigger.ref, trigger.due_at, context.now))
        return decide(state, trigger, context)

    return rule


@asynccontextmanager
async def waking(dsn: str, clock: VirtualClock, fired: Fired, **more: Any) -> AsyncIterator[Runtime]:
    """Run a tally that records what fires; nothing fires by itself."""
    async with running(
        dsn,
        "",
        "none",
        replace(TALLY, decide=recording(fired), **more.pop("service", {})),
        clock=clock,
        **more,
    ) as runtime:
        yield runtime


def wake(n: int, ref: UUID, at: datetime, word: str = "") -> Envelope:
    """Return the command to count in a stream, and to wake it at a time."""
    cause = str(new_id())
    actor = Actor(ACTOR, "caseworker", TENANT)
    return Envelope(case_id(n), TENANT, Count(ref, word, at), actor, START, cause, cause)


async def apply(runtime: Runtime, *envelope: Envelope) -> None:
    """Apply commands."""
    async with runtime.pool.acquire() as tx:
        await runtime.processor.process(tx, envelope)


async def fire_all(timers: Timers) -> int:
    """Fire until nothing is due."""
    fired = 0
    while count := await timers.fire():
        fired += count
    return fired


async def woken(runtime: Runtime) -> int:
    """Return how often streams were woken."""
    async with runtime.pool.acquire() as tx:
        found: int = await tx.fetchval("select coalesce(sum((state::json ->> 'woken')::int), 0) from streams")
    return found


async def test_nothing_fires_before_its_time(postgres_dsn: str, clock: VirtualClock) -> None:
    """A timer waits for its moment, and not a second longer."""
    fired: Fired = []
    async with waking(postgres_dsn, clock, fired) as runtime:
        await apply(runtime, wake(1, new_id(), START + NIGHT))
        before = await fire_all(runtime.timers)
        clock.move(START + NIGHT - timedelta(seconds=1))
        shortly = await fire_all(runtime.timers)
        clock.move(START + NIGHT)
        then = await fire_all(runtime.timers)
        again = await fire_all(runtime.timers)

    assert (before, shortly, then, again) == (0, 0, 1, 0)


async def test_two_workers_fire_each_timer_once(postgres_dsn: str, clock: VirtualClock) -> None:
    """Workers of several processes share what is due, and no stream is woken twice for one timer."""
    fired: Fired = []
    async with waking(postgres_dsn, clock, fired) as one, waking(postgres_dsn, clock, fired) as two:
        for batch in range(10):
            await apply(one, *(wake(100 * batch + n, new_id(), START) for n in range(100)))
        counts = await asyncio.gather(*(fire_all(each.timers) for each in (one, two, one, two)))
        total = await woken(one)
        left = await one.timers.overdue()

    assert (sum(counts), total, left) == (1000, 1000, 0)
    assert len({ref for _, ref, _, _ in fired}) == 1000


async def test_a_stream_is_woken_in_the_order_of_its_timers(postgres_dsn: str, clock: VirtualClock) -> None:
    """However many workers: what was due first is done first in each stream."""
    fired: Fired = []
    async with waking(postgres_dsn, clock, fired) as one, waking(postgres_dsn, clock, fired) as two:
        for k in (3, 1, 4, 2, 0):
            await apply(one, *(wake(n, new_id(), START + k * NIGHT) for n in range(60)))
        clock.move(START + 30 * NIGHT)
        await asyncio.gather(*(fire_all(each.timers) for each in (one, two, one, two)))
        total = await woken(one)

    by_stream: dict[UUID, list[datetime]] = {}
    for stream_id, _, due_at, _ in fired:
        by_stream.setdefault(stream_id, []).append(due_at)
    assert total == 300
    assert set(map(tuple, by_stream.values())) == {tuple(START + k * NIGHT for k in range(5))}


async def test_a_jump_in_time_fires_everything_once_and_in_order(
    postgres_dsn: str, clock: VirtualClock
) -> None:
    """After two months in one step all that fell due between is done, and each knows when it was due."""
    fired: Fired = []
    days = [40, 3, 17, 1, 59, 8]
    async with waking(postgres_dsn, clock, fired) as runtime:
        await apply(runtime, *(wake(n, new_id(), START + n * NIGHT) for n in [*days, 61]))
        clock.move(START + 60 * NIGHT)
        count = await fire_all(runtime.timers)
        left = await runtime.timers.next_due()

    assert count == len(days)
    assert [(due_at, now) for _, _, due_at, now in fired] == [
        (START + n * NIGHT, START + 60 * NIGHT) for n in sorted(days)
    ]
    assert left == START + 61 * NIGHT


async def test_what_fires_may_set_the_next(postgres_dsn: str, clock: VirtualClock) -> None:
    """A ladder of reminders is climbed to its end, also when all of it is overdue."""
    fired: Fired = []

    def ladder(state: Tally | None, trigger: Any, context: Any) -> Decision:
        done = recording(fired)(state, trigger, context)
        if isinstance(trigger, TimerFired) and trigger.due_at < START + 5 * NIGHT:
            return Decision(done.state, timers=(Timer("wake", trigger.ref, trigger.due_at + NIGHT),))
        return done

    async with running(postgres_dsn, "", "none", replace(TALLY, decide=ladder), clock=clock) as runtime:
        await apply(runtime, wake(1, new_id(), START))
        clock.move(START + 30 * NIGHT)
        count = await fire_all(runtime.timers)

    assert count == 6
    assert [due_at for _, _, due_at, _ in fired] == [START + n * NIGHT for n in range(6)]


async def test_a_timer_that_was_taken_back_does_not_fire(postgres_dsn: str, clock: VirtualClock) -> None:
    """Nobody is reminded of what is done."""
    ref, fired = new_id(), Fired()

    def settle(state: Tally | None, trigger: Any, context: Any) -> Decision:
        if isinstance(trigger, Count) and trigger.word == "settled":
            return Decision(state, timers=(Timer("wake", ref, None),))
        return recording(fired)(state, trigger, context)

    async with running(postgres_dsn, "", "none", replace(TALLY, decide=settle), clock=clock) as runtime:
        await apply(runtime, wake(1, ref, START + NIGHT))
        await apply(runtime, wake(1, ref, START + NIGHT, "settled"))
        clock.move(START + 2 * NIGHT)
        count = await fire_all(runtime.timers)

    assert (count, fired) == (0, [])


async def test_a_refused_timer_delays_no_other(postgres_dsn: str, clock: VirtualClock) -> None:
    """A rule that says no to one timer has answered it; the others of the batch are done."""
    fired: Fired = []
    async with waking(postgres_dsn, clock, fired) as runtime:
        await apply(runtime, *(wake(n, new_id(), START) for n in range(20)))
        await set_timer(runtime, 7, REFUSED, START - NIGHT)
        await fire_all(runtime.timers)
        left, total = await runtime.timers.next_due(), await woken(runtime)

    assert (left, total) == (None, 20)


async def set_timer(runtime: Runtime, n: int, ref: UUID, at: datetime) -> None:
    """Set a timer that the rule would not set."""
    async with runtime.pool.acquire() as tx:
        await tx.execute(
            "insert into timers (stream_id, kind, ref, tenant, due_at) values ($1, 'wake', $2, $3, $4)",
            case_id(n),
            ref,
            TENANT,
            at,
        )


async def test_a_broken_rule_postpones_its_timer(postgres_dsn: str, clock: VirtualClock) -> None:
    """A timer whose rule has a bug waits an hour, the others are done; repaired, it fires."""
    fired: Fired = []
    async with waking(postgres_dsn, clock, fired) as runtime:
        await apply(runtime, *(wake(n, new_id(), START) for n in range(20)))
        await set_timer(runtime, 7, BROKEN, START - NIGHT)
        await fire_all(runtime.timers)
        left, total = await runtime.timers.next_due(), await woken(runtime)
        async with runtime.pool.acquire() as tx:
            logged = await tx.fetchval("select count(*) from event_log where stream_id = $1", case_id(7))
    clock.move(START + timedelta(hours=1))
    async with running(postgres_dsn, "", "none", clock=clock) as repaired:
        await fire_all(repaired.timers)
        after, nothing = await woken(repaired), await repaired.timers.next_due()

    assert (left, total, logged) == (START + timedelta(hours=1), 20, 1)
    assert (after, nothing) == (21, None)


async def test_a_stream_that_a_command_holds_is_left_for_later(
    postgres_dsn: str, clock: VirtualClock
) -> None:
    """A worker neither waits for a stream in use nor fires its timers out of order."""
    fired: Fired = []
    async with waking(postgres_dsn, clock, fired) as runtime:
        await apply(runtime, *(wake(n, new_id(), START) for n in range(3)))
        holder = await connect(postgres_dsn, schema="consent")
        held = holder.transaction()
        await held.start()
        await holder.execute("update streams set changed_at = now() where stream_id = $1", case_id(1))
        async with asyncio.timeout(10):
            meanwhile = await fire_all(runtime.timers)
        await held.rollback()
        await holder.close()
        afterwards = await fire_all(runtime.timers)

    assert (meanwhile, afterwards) == (2, 1)
    assert fired[-1][0] == case_id(1)


async def test_commands_and_timers_do_not_block_each_other(postgres_dsn: str, clock: VirtualClock) -> None:
    """Streams whose timers are set anew while they fire: no worker runs into a deadlock, none is lost."""
    fired: Fired = []
    refs = {n: new_id() for n in range(5)}
    async with waking(postgres_dsn, clock, fired) as runtime:
        await apply(runtime, *(wake(n, refs[n], START) for n in refs))
        stop = asyncio.Event()

        async def fire_on() -> None:
            while not stop.is_set():
                await runtime.timers.fire()
                await asyncio.sleep(0)

        firing = [asyncio.create_task(fire_on()) for _ in range(2)]
        for _ in range(30):
            await asyncio.gather(*(apply(runtime, wake(n, refs[n], START)) for n in refs))
        stop.set()
        await asyncio.gather(*firing)
        await fire_all(runtime.timers)
        total = await woken(runtime)
        deadlocks = await deadlocks_of(runtime)

    assert total == len(fired)
    assert {stream_id for stream_id, *_ in fired} == {case_id(n) for n in refs}
    assert deadlocks == 0


async def deadlocks_of(runtime: Runtime) -> int:
    """Return how many deadlocks the database has counted."""
    async with runtime.pool.acquire() as tx:
        found: int = await tx.fetchval(
            "select deadlocks from pg_stat_database where datname = current_database()"
        )
    return found


async def test_a_silent_key_store_costs_no_timer(postgres_dsn: str, clock: VirtualClock) -> None:
    """While texts cannot be opened the timers that need them wait, and fire when they can be."""
    fired: Fired = []
    opening = {"reads_private_for": frozenset({TimerFired})}
    async with transit() as engine, key_store_of(engine.settings()) as key_store:
        async with waking(postgres_dsn, clock, fired, key_store=key_store) as runtime:
            await apply(runtime, wake(1, new_id(), START, "private"), wake(2, new_id(), START))
            await set_timer(runtime, 2, REFUSED, START)
        async with waking(postgres_dsn, clock, fired, key_store=key_store, service=opening) as runtime:
            engine.sealed = True
            with pytest.raises(KeyStoreUnavailable):
                await fire_all(runtime.timers)
            waiting = await runtime.timers.overdue()
            engine.sealed = False
            await fire_all(runtime.timers)
            total = await woken(runtime)

    assert (waiting, total, len(fired)) == (3, 2, 2)


class Changing:
    """A key store that is exchanged while somebody uses it."""

    def __init__(self, now: KeyStore) -> None:
        """Begin with this one."""
        self.now = now

    def for_service(self, service: str) -> KeyStore:
        """Stay exchangeable: the file store has the same keys for every service."""
        del service
        return self

    async def wrap(self, tenant: str, key: bytes, *, about: str) -> bytes:
        """Wrap by the one of now."""
        return await self.now.wrap(tenant, key, about=about)

    async def unwrap(self, tenant: str, wrapped: bytes, *, about: str) -> bytes:
        """Unwrap by the one of now."""
        return await self.now.unwrap(tenant, wrapped, about=about)

    async def newest_version(self, tenant: str) -> bytes:
        """Wrap by the newest version of the one of now."""
        return await self.now.newest_version(tenant)

    def version_of(self, wrapped: bytes) -> bytes:
        """Ask the one of now."""
        return self.now.version_of(wrapped)


async def test_the_wrong_key_store_costs_no_timer(
    postgres_dsn: str, clock: VirtualClock, tmp_path: Path
) -> None:
    """With another installation's keys nothing is taken for refused: it is postponed until they are right."""
    fired: Fired = []
    opening = {"reads_private_for": frozenset({TimerFired})}
    right = FileKeyStore(tmp_path / "right", mode="test")
    async with waking(postgres_dsn, clock, fired, key_store=right) as runtime:
        await apply(runtime, wake(1, new_id(), START, "private"))
    store = Changing(right)
    async with waking(postgres_dsn, clock, fired, key_store=store, service=opening) as runtime:
        store.now = FileKeyStore(tmp_path / "wrong", mode="test")
        await fire_all(runtime.timers)
        due = await runtime.timers.next_due()
    clock.move(START + timedelta(hours=2))
    async with waking(postgres_dsn, clock, fired, key_store=right, service=opening) as runtime:
        await fire_all(runtime.timers)

    assert due == START + timedelta(hours=1)
    assert len(fired) == 1


async def test_due_times_keep_their_instant(postgres_dsn: str, clock: VirtualClock) -> None:
    """A due time of another zone is the same moment."""
    fired: Fired = []
    async with waking(postgres_dsn, clock, fired) as runtime:
        due = datetime.fromisoformat("2026-03-02T11:00:00.123456+02:00")
        await apply(runtime, wake(1, new_id(), due))
        found = await runtime.timers.next_due()

    assert found == datetime(2026, 3, 2, 9, 0, 0, 123456, tzinfo=UTC)
