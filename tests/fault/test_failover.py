"""Failover to a standby: no answered command is lost, or the loss is reported."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from services.kernel.decider.decision import Actor
from services.kernel.embedded.child_process import free_port
from services.kernel.embedded.servers import postgres
from services.kernel.ids import new_id
from services.kernel.limits import Limits
from services.kernel.operations import missing_events as losing
from services.kernel.operations import parked_events as operating
from services.kernel.operations.accept_source import NoDivergence
from services.kernel.outbox.republish import republish
from services.kernel.postgres.connections import CONNECTION_FAULTS, connect
from services.kernel.postgres.timelines import register_timeline
from services.kernel.runtime.runtime import Runtime
from services.kernel.streams.envelopes import Envelope
from tests import relay_load
from tests.fault.brokers import Kind
from tests.fault.campaign import evidence_of
from tests.fault.chain import CHAIN, Count
from tests.fault.ledger import examine
from tests.fault.load import Load
from tests.fault.stage import Stage, stage
from tests.fault.standby import Standby, query_value, standby
from tests.relay_load import reading
from tests.servers import scratch_folder
from tests.tally import ACTOR, START, TALLY, TENANT, case_id, running, tallies
from tests.waiting import under_way, until

CASE = case_id(0)
SEQ = "select seq from referral.streams"
QUIET = replace(TALLY, watermark_event=None)


@asynccontextmanager
async def a_pair(folder: Path) -> AsyncIterator[tuple[Standby, str]]:
    """Run a database and its standby, and say how a service reaches whichever of them can be written."""
    port = free_port()
    async with postgres(folder / "postgres", port=port) as first, standby(first, port, folder / "two") as two:
        hosts = f"127.0.0.1:{port},127.0.0.1:{two.port}"
        dsn = first.dsn.replace(f"127.0.0.1:{port}", hosts) + "?target_session_attrs=read-write"
        yield two, dsn


async def count(runtime: Runtime, times: int) -> None:
    """Count in the case by a command each."""
    for _ in range(times):
        cause = str(new_id())
        actor = Actor(ACTOR, "caseworker", TENANT)
        async with runtime.pool.acquire(timeout=20) as tx:
            envelope = Envelope(CASE, TENANT, Count(new_id()), actor, START, cause, cause)
            await runtime.processor.process(tx, [envelope])


async def come_to_rest(made: Stage, cases: list[UUID]) -> None:
    """Wait until nothing is under way."""

    async def at_rest() -> bool:
        return not await made.left(cases)

    await until(at_rest, seconds=60, what="the chain to come to rest")


async def answered(load: Load, number: int) -> None:
    """Wait until so many commands were answered."""

    async def so_many() -> bool:
        return len(load.promised) >= number

    await until(so_many, seconds=60, what=f"{number} answers")


@pytest.mark.parametrize("kind", ["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
async def test_a_synchronous_standby_has_all_that_was_answered(kind: Kind) -> None:
    """Under load the first database dies and the standby goes on: nothing answered is lost or doubled."""
    with scratch_folder() as folder:
        async with stage(kind, folder, followed=True) as made:
            two = made.standby
            assert two is not None
            await two.be_waited_for()
            load = Load([f"http://127.0.0.1:{made.members['referral-1'].port}"], made.token, 1)
            async with under_way(load):
                await answered(load, 60)
                await made.database.kill()
                await two.promote()
                made.database = two.server
                await answered(load, len(load.promised) + 60)
                await load.end()
            await come_to_rest(made, load.cases)
            found = examine(await evidence_of(made, load.promised))

    assert found == []


async def test_what_its_standby_does_not_have_is_neither_answered_nor_seen() -> None:
    """While the standby is gone no command is answered, not even when it is repeated after a crash."""
    limits = Limits(statement_seconds=1)
    with scratch_folder() as folder:
        async with (
            a_pair(folder) as (two, dsn),
            running(dsn, "", "none", CHAIN["referral"], limits=limits) as runtime,
        ):
            await count(runtime, 1)
            await two.be_waited_for()
            await count(runtime, 1)
            await two.server.stop(immediate=True)
            for _ in range(2):
                with pytest.raises(TimeoutError):
                    await count(runtime, 1)
            waited_for = await query_value(two.first.dsn, SEQ)
            await two.first.kill()
            await two.first.start()
            after_a_crash = await query_value(two.first.dsn, SEQ)
            with pytest.raises(TimeoutError):
                await count(runtime, 1)
            with pytest.raises(TimeoutError):
                await begin_to_relay(dsn)
            unchanged = await query_value(two.first.dsn, SEQ)
            await two.server.start()
            await until(lambda: works(runtime))
            together = await query_value(two.first.dsn, SEQ), await query_value(two.server.dsn, SEQ)

    assert (waited_for, after_a_crash, unchanged) == (2, 3, 3)
    assert together[0] == together[1]


async def begin_to_relay(dsn: str) -> None:
    """Open a session whose own commits wait for no standby, as the relay does before it reads."""
    session = await connect(dsn, schema="referral", command_timeout=1.0, synchronous_commit="off")
    try:
        await register_timeline(session)
    finally:
        session.terminate()


async def works(runtime: Runtime) -> bool:
    """Return whether a command is answered."""
    try:
        await count(runtime, 1)
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("lost", [1, 3])
async def test_events_that_a_standby_lacks_are_reported_and_never_skipped(
    lost: int, postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """A subscriber of events that the source has lost halts at those it sends instead, be it one or more."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(scratch_folder())
        two, dsn = await stack.enter_async_context(a_pair(folder))
        source = await stack.enter_async_context(running(dsn, bootstrap, broker_kind, CHAIN["referral"]))
        reader = await stack.enter_async_context(running(postgres_dsn, bootstrap, broker_kind))
        await count(source, 3)
        await until(lambda: consumed(reader, 3))
        await two.catch_up()
        two.wire.mood = "black"
        await count(source, lost)
        await until(lambda: consumed(reader, 3 + lost))
        before = await tallies(reader)
        await two.first.kill()
        await two.promote()
        await until(lambda: works(source))
        await count(source, lost)
        await until(lambda: parked(reader, lost + 1))
        unasked = [await unasked_of(source)]
        missing = await losing.find_missing_events(source)
        unasked.append(await unasked_of(source))
        async with source.pool.acquire() as tx:
            await republish(tx)
        await until(lambda: sent(source))
        reasons = Counter(row["reason"] for row in await operating.list_parked(reader))
        after = await tallies(reader)
        rows = await operating.list_parked(reader, reason="divergence")
        if lost > 1:
            with pytest.raises(NoDivergence):
                await operating.accept_source(reader, rows[1]["id"], by=ACTOR)
        done = await operating.accept_source(reader, rows[0]["id"], by=ACTOR)
        followed = await tallies(reader)
        logged = await log_of(source)
        async with source.pool.acquire() as tx:
            await republish(tx)
        await until(lambda: sent(source))
        await count(source, 1)
        await until(lambda: consumed(reader, 3 + lost + lost + 2))
        left = await operating.list_parked(reader)

    assert unasked == [1, 0]
    assert [one["seq"] for one in missing] == list(range(4, 4 + lost))
    assert reasons == {"divergence": lost, "behind": 1}
    assert after == before
    assert done == {"stream": CASE, "applied": lost + 1, "left_in_stream": 0}
    assert followed[CASE] == before[CASE] + logged[3:]
    assert left == []


async def test_a_lost_event_is_not_sent_under_a_reused_sequence(bootstrap: str, broker_kind: str) -> None:
    """A relay that stood by committed events that the standby lacks; later it leads, and sends by the log."""
    async with AsyncExitStack() as stack:
        two, dsn = await stack.enter_async_context(a_pair(stack.enter_context(scratch_folder())))
        one = await stack.enter_async_context(running(dsn, bootstrap, broker_kind, QUIET))
        await until(lambda: leads(one))
        other = await stack.enter_async_context(running(dsn, bootstrap, broker_kind, QUIET))
        topic = await stack.enter_async_context(reading(bootstrap))
        await relay_load.load(other, 1, 3)
        await two.catch_up()
        two.wire.mood = "black"
        await relay_load.load(other, 1, 80, first=4)
        await topic.read_until(lambda: len(topic.ids()) == 83)
        topic.lines.clear()
        await two.first.kill()
        await two.promote()
        await until(lambda: again_works(one))
        await relay_load.load(one, 1, 80, first=200)
        await until(lambda: sent(one))
        await one.stop()
        await until(lambda: leads(other))
        async with other.pool.acquire() as tx:
            await republish(tx)
        await until(lambda: sent(other))
        logged = {row["id"] for row in await other.pool.fetch("select event_id::text as id from event_log")}
        await topic.read_until(lambda: len(topic.lines) >= 2 * len(logged) - 3)

    assert topic.ids() == logged


async def leads(runtime: Runtime) -> bool:
    """Return whether this process relays."""
    return runtime.relay.is_leader


async def again_works(runtime: Runtime) -> bool:
    """Return whether a command is carried out by a database that can be written."""
    try:
        await relay_load.load(runtime, 1, 1, first=100)
    except CONNECTION_FAULTS:
        return False
    return True


async def unasked_of(source: Runtime) -> int:
    """Return how many timelines of the source are unacknowledged."""
    count: int = await source.pool.fetchval("select unacknowledged_timelines()")
    return count


async def log_of(source: Runtime) -> list[str]:
    """Return what the source has seen in the case, in order."""
    rows = await source.pool.fetch("select data ->> 'referral_id' as ref from event_log order by seq")
    return [row["ref"] for row in rows]


async def consumed(runtime: Runtime, number: int) -> bool:
    """Return whether the reader has counted so many."""
    return len((await tallies(runtime)).get(CASE, [])) == number


async def parked(runtime: Runtime, number: int) -> bool:
    """Return whether so many events wait."""
    return len(await operating.list_parked(runtime)) == number


async def sent(runtime: Runtime) -> bool:
    """Return whether all was sent."""
    return bool(await runtime.pool.fetchval("select not exists (select from pending)"))
