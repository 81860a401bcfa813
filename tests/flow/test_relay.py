"""What was committed is sent in the order of its stream, by one relay at a time."""

import asyncio
import gc
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from services.kernel.consumer.faststream_subscriber import position_of
from services.kernel.decider.service import Service
from services.kernel.embedded.quiescence import wait_until_idle
from services.kernel.kafka.clients import is_open
from services.kernel.outbox import relay
from services.kernel.outbox.republish import republish
from services.kernel.runtime import runtime as runtimes
from services.kernel.runtime.runtime import Runtime
from tests.apache_kafka import ApacheKafka
from tests.relaying import (
    LISTENER,
    Fallible,
    Reader,
    all_counted,
    all_sent,
    apply,
    count,
    counted,
    green,
    in_order,
    load,
    other_writer,
    pending,
    reading,
)
from tests.tally import TALLY, case_id, running, tallies
from tests.waiting import until


async def test_a_stream_is_sent_in_its_order_whoever_else_is_writing(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """A waits for B on one stream while C, on another, stays open: B's event goes before A's, C holds nobody.

    A relay that waited for the oldest open transaction, or that read by transaction numbers, fails here.
    """
    async with running(postgres_dsn, bootstrap, broker_kind) as runtime, reading(bootstrap) as reader:
        await load(runtime, 2, 3)
        second, third = await other_writer(postgres_dsn), await other_writer(postgres_dsn)
        unrelated, earlier = third.transaction(), second.transaction()
        await unrelated.start()
        await runtime.processor.process_once(third, [count(1, 4)])
        await earlier.start()
        await runtime.processor.process_once(second, [count(0, 4)])
        waiting = asyncio.create_task(apply(runtime, count(0, 5)))
        await until(lambda: waits_for_a_lock(runtime.pool))
        await earlier.commit()
        await waiting
        await reader.read_until(lambda: len(reader.ids()) == 8)
        meanwhile = reader.firsts()
        await unrelated.commit()
        await reader.read_until(lambda: len(reader.ids()) == 9)
        afterwards = reader.firsts()
        await second.close()
        await third.close()

    assert meanwhile == {case_id(0): [1, 2, 3, 4, 5], case_id(1): [1, 2, 3]}
    assert afterwards == {case_id(0): [1, 2, 3, 4, 5], case_id(1): [1, 2, 3, 4]}


async def waits_for_a_lock(tx: Any) -> bool:
    """Return whether a connection waits for another."""
    found: int = await tx.fetchval(
        "select count(*) from pg_stat_activity "
        "where wait_event_type = 'Lock' and datname = current_database()"
    )
    return found > 0


async def test_many_writers_are_sent_in_order(postgres_dsn: str, bootstrap: str, broker_kind: str) -> None:
    """Eight write to the same streams at once; every stream's events come whole and in order."""
    async with running(postgres_dsn, bootstrap, broker_kind) as runtime, reading(bootstrap) as reader:

        async def write(w: int) -> None:
            for k in range(10):
                await apply(runtime, *(count(n, 100 * w + k) for n in (w % 5, (w + 1) % 5)))

        await asyncio.gather(*(write(w) for w in range(8)))
        await reader.read_until(lambda: len(reader.ids()) == 160)

    firsts = reader.firsts()
    assert firsts == {stream_id: sorted(places) for stream_id, places in firsts.items()}
    assert all(places[-1] == len(places) for places in firsts.values())


async def test_what_goes_on_from_what_was_sent_waits_for_no_reading(
    postgres_dsn: str, bootstrap: str, broker_kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The relay's session stands still, and the next events of its streams go out none the less."""
    monkeypatch.setattr(relay, "_POLL_SECONDS", 1e9)
    service: Service = replace(TALLY, watermark_event=None)
    async with (
        running(postgres_dsn, bootstrap, broker_kind, service) as runtime,
        reading(bootstrap) as reader,
    ):
        await load(runtime, 5, 3)
        await until(lambda: all_sent(runtime))
        with standing_still(await at_rest(runtime)):
            await apply(runtime, *(count(n, 4) for n in range(6)))
            await reader.read_until(lambda: len(reader.ids()) == 21)

    assert reader.firsts() == in_order(5, 4) | {case_id(5): [1]}


async def test_what_another_has_written_meanwhile_goes_first(
    postgres_dsn: str, bootstrap: str, broker_kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event that does not go on from what was sent waits for the reading that finds those before it."""
    monkeypatch.setattr(relay, "_POLL_SECONDS", 1e9)
    service: Service = replace(TALLY, watermark_event=None)
    async with running(postgres_dsn, bootstrap, broker_kind, service) as one:
        await until(lambda: leading(one))
        async with (
            running(postgres_dsn, bootstrap, broker_kind, service) as two,
            reading(bootstrap) as reader,
        ):
            await load(one, 2, 3)
            await until(lambda: all_sent(one))
            with standing_still(await at_rest(one)):
                await apply(two, count(0, 4))
                await apply(one, count(0, 5), count(1, 4))
                waiting = await pending(one)
            await reader.read_until(lambda: len(reader.ids()) == 9)

    assert waiting == 3
    assert reader.firsts() == {case_id(0): [1, 2, 3, 4, 5], case_id(1): [1, 2, 3, 4]}


async def test_what_another_history_tells_is_not_sent_before_it_is_known(
    postgres_dsn: str, bootstrap: str, broker_kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pool has reached the database that took over; that the relay's session is dead is not known yet."""
    monkeypatch.setattr(relay, "_POLL_SECONDS", 1e9)
    service: Service = replace(TALLY, watermark_event=None)
    async with (
        running(postgres_dsn, bootstrap, broker_kind, service) as runtime,
        running(postgres_dsn, bootstrap, broker_kind, LISTENER) as listener,
    ):
        await load(runtime, 1, 3)
        await until(lambda: counted(listener, 3))
        await until(lambda: all_sent(runtime))
        with standing_still(pid := await at_rest(runtime)):
            await runtime.pool.execute(ANOTHER_HISTORY)
            await runtime.pool.expire_connections()
            await load(runtime, 1, 1, first=4)
            await runtime.pool.execute("select pg_terminate_backend($1)", pid)
        settled = await wait_until_idle({"consent": runtime, "agreement": listener})
        found = await tallies(listener)
        parked = await listener.pool.fetchval("select array_agg(reason) from parked_events")

    assert settled
    assert parked is None
    assert found == all_counted(1, 4)


ANOTHER_HISTORY = """
insert into timelines (cluster, timeline, first_id, started_ms)
select cluster, 'FFFFFFFF', nextval('event_log_id'), started_ms + 1 from timelines
"""
RESTING = """
select pid from pg_stat_activity
where pid in (select pid from pg_locks where locktype = 'advisory') and state = 'idle'
  and datname = current_database()
"""


async def at_rest(runtime: Runtime) -> int:
    """Return the process of the relay's session, once the relay waits to be told of something."""
    found: list[int] = []

    async def rests() -> bool:
        found[:] = [row["pid"] for row in await runtime.pool.fetch(RESTING)]
        return bool(found) and runtime.relay.is_leader and not runtime.relay._wakeup.is_set()

    await until(rests)
    return found[0]


@contextmanager
def standing_still(pid: int) -> Iterator[None]:
    """Let a process stand still while the block runs."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_another_relay_takes_over_and_loses_nothing(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """Of two one leads; when its session ends in the middle of a load the other goes on where it was."""
    async with (
        running(postgres_dsn, bootstrap, broker_kind) as one,
        running(postgres_dsn, bootstrap, broker_kind) as two,
        reading(bootstrap) as reader,
    ):
        await until(lambda: leading(one, two))
        first, other = (one, two) if one.relay.is_leader else (two, one)
        stranger = await other_writer(postgres_dsn)
        writing = asyncio.create_task(load(other, 20, 40))
        await reader.read_until(lambda: len(reader.ids()) >= 20)
        await stranger.execute("select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'")
        await until(lambda: leading(other))
        await writing
        await reader.read_until(lambda: len(reader.ids()) == 800)
        await until(lambda: stands_by(first))
        works = [each.relay.is_alive() for each in (first, other)]
        await until(lambda: all_sent(other))
        await stranger.close()

    assert reader.firsts() == in_order(20, 40)
    assert works == [True, True]


async def test_who_stands_by_is_not_woken_by_every_commit(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """A relay that does not lead asks for the lead about once a second, however much its process writes."""
    async with running(postgres_dsn, bootstrap, broker_kind) as one:
        await until(lambda: leading(one))
        async with running(postgres_dsn, bootstrap, broker_kind) as two:
            await until(lambda: asks_for_the_lead(two))
            asked: dict[Any, Any] = {}
            for k in range(1, 41):
                await apply(two, *(count(n, k) for n in range(5)))
                row = await two.pool.fetchrow(ASKING)
                asked[row and row["state_change"]] = row and row["now"]

    times = list(asked.values())
    assert len(asked) <= (times[-1] - times[0]).total_seconds() + 3


ASKING = """
select state_change, clock_timestamp() as now from pg_stat_activity
where query like 'select pg_try_advisory_lock%' and datname = current_database() limit 1
"""


async def asks_for_the_lead(runtime: Runtime) -> bool:
    """Return whether a relay stands by."""
    return await runtime.pool.fetchrow(ASKING) is not None


async def leading(*runtimes: Runtime) -> bool:
    """Return whether one of these relays leads."""
    return any(runtime.relay.is_leader for runtime in runtimes)


async def stands_by(runtime: Runtime) -> bool:
    """Return whether this relay does not lead."""
    return not runtime.relay.is_leader


async def test_who_is_stopped_leaves_the_lead_at_once(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """A process that goes hands over what it had not sent."""
    async with running(postgres_dsn, bootstrap, broker_kind) as one:
        await until(lambda: leading(one))
        async with running(postgres_dsn, bootstrap, broker_kind) as two, reading(bootstrap) as reader:
            await load(one, 5, 4)
            await one.stop()
            await load(two, 5, 4, first=5)
            await reader.read_until(lambda: len(reader.ids()) == 40)
            assert two.relay.is_leader

    assert reader.firsts() == in_order(5, 8)


async def test_who_is_told_to_be_silent_is_silent_also_where_the_database_is(
    postgres_dsn: str, bootstrap: str, broker_kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that does not end in time takes nobody's order to end away: two would relay at once."""
    monkeypatch.setattr(relay, "_CLOSE_SECONDS", 0.2)
    monkeypatch.setattr(relay, "_POLL_SECONDS", 1e9)
    async with running(postgres_dsn, bootstrap, broker_kind, replace(TALLY, watermark_event=None)) as runtime:
        with standing_still(await at_rest(runtime)):
            await runtime.stop_relay()
            left = [task for task in asyncio.all_tasks() if task.get_name() == "relay"]
        runtime.connect_broker()

    assert left == []


async def test_who_leaves_a_broker_that_is_silent_leaves_nothing_open(
    postgres_dsn: str, fallible: Fallible, broker_kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A producer that cannot be stopped in time is closed: else each fall of a broker leaves one for good."""
    monkeypatch.setattr(relay, "_CLOSE_SECONDS", 0.2)
    monkeypatch.setattr(runtimes, "_MEASURE_SECONDS", 1e9)
    pid = fallible.nodes[0].child.pid if isinstance(fallible, ApacheKafka) else fallible.pid
    async with running(postgres_dsn, fallible.bootstrap, broker_kind) as runtime:
        await load(runtime, 1, 1)
        await until(lambda: all_sent(runtime))
        sender = runtime.relay.producer
        assert sender is not None
        with standing_still(pid):
            await load(runtime, 1, 1, first=2)
            await until(lambda: in_flight(sender))
            await runtime.stop_relay()
            left = is_open(sender.client)
            await until(lambda: ended(sender))
        runtime.connect_broker()

    assert not left


async def test_who_turns_from_a_broker_that_has_gone_leaves_nothing_open(
    postgres_dsn: str, fallible: Fallible, broker_kind: str
) -> None:
    """Also where a fetch waits to be tried again."""
    async with (
        running(postgres_dsn, fallible.bootstrap, broker_kind),
        running(postgres_dsn, fallible.bootstrap, broker_kind, LISTENER) as runtime,
    ):
        await until(lambda: green(runtime))
        assert runtime.consumer is not None
        consumer: Any = runtime.consumer.consumer
        consumer._fetcher._retry_backoff = 3_600.0
        await until(lambda: knows_its_places(consumer))
        await fallible.kill()
        await until(lambda: tries_again(consumer))
        await runtime.disconnect_broker()
        left = is_open(consumer._client)
        await fallible.start()
        runtime.connect_broker()

    assert not left


async def knows_its_places(consumer: Any) -> bool:
    """Return whether a consumer has begun to fetch."""
    places = [position_of(consumer, partition) for partition in consumer.assignment()]
    return bool(places) and None not in places


async def tries_again(consumer: Any) -> bool:
    """Return whether a fetch waits to be tried again."""
    fetches = [task.get_coro().cr_await for task in consumer._fetcher._pending_tasks]
    return any(getattr(waits, "__name__", "") == "sleep" for waits in fetches)


async def in_flight(sender: Any) -> bool:
    """Return whether a producer waits for an answer."""
    return bool(sender._sender._in_flight)


async def ended(sender: Any) -> bool:
    """Return whether a producer sends nothing more."""
    return bool(sender._sender.sender_task.done())


# Sending again


async def test_what_is_queued_again_while_it_is_being_sent_is_sent(
    postgres_dsn: str, fallible: Fallible, broker_kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator's whole resend is not lost to a part of it that was under way."""
    monkeypatch.setattr(runtimes, "_MEASURE_SECONDS", 1e9)
    pid = fallible.nodes[0].child.pid if isinstance(fallible, ApacheKafka) else fallible.pid
    service: Service = replace(TALLY, watermark_event=None)
    async with running(postgres_dsn, fallible.bootstrap, broker_kind, service) as runtime:
        await load(runtime, 1, 20)
        await until(lambda: all_sent(runtime))
        os.kill(pid, signal.SIGSTOP)
        try:
            await again(runtime, first_seq=1, last_seq=1)
            await until(lambda: taken(runtime))
            await again(runtime)
        finally:
            os.kill(pid, signal.SIGCONT)
        async with reading(fallible.bootstrap) as reader:
            await reader.read_until(lambda: len(set(twice(reader))) == 20)


async def again(runtime: Runtime, **part: int) -> None:
    """Queue the log again, or a part of it."""
    async with runtime.pool.acquire() as tx:
        await republish(tx, **part)  # type: ignore[arg-type]
    runtime.relay.enqueue(())


async def taken(runtime: Runtime) -> bool:
    """Return whether the relay has taken all that it was told of."""
    return not runtime.relay._wakeup.is_set()


def twice(reader: Reader) -> Iterator[str]:
    """Return the ids that came more than once."""
    seen: set[str] = set()
    for *_, event_id in reader.lines:
        if event_id in seen:
            yield event_id
        seen.add(event_id)


@pytest.mark.parametrize("rows", [3, 4])
async def test_a_long_backlog_is_sent_once_and_in_order(
    postgres_dsn: str, bootstrap: str, broker_kind: str, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """While a portion is sent the next is read; each is struck off, and nothing is sent twice."""
    monkeypatch.setattr(relay, "_ROWS", rows)
    async with (
        running(postgres_dsn, bootstrap, broker_kind) as sender,
        reading(bootstrap) as reader,
    ):
        await until(lambda: leading(sender))
        await sender.disconnect_broker()
        await load(sender, 5, 20)
        assert await pending(sender) == 100
        sender.connect_broker()
        await until(lambda: all_sent(sender))
        await load(sender, 5, 1, first=21)
        await reader.read_until(lambda: len(reader.lines) >= 105)

    assert reader.firsts() == in_order(5, 21)
    assert len(reader.lines) == 105


async def test_a_resend_is_the_same_to_the_byte(postgres_dsn: str, bootstrap: str, broker_kind: str) -> None:
    """Whoever has an event already passes it by: it has the id, the number and the words that it had."""
    async with (
        running(postgres_dsn, bootstrap, broker_kind) as sender,
        running(postgres_dsn, bootstrap, broker_kind, LISTENER) as listener,
        reading(bootstrap) as reader,
    ):
        await load(sender, 5, 10)
        await until(lambda: counted(listener, 50))
        await again(sender)
        await reader.read_until(lambda: len(reader.lines) == 100)
        found = await tallies(listener)

    assert found == all_counted(5, 10)
    assert Counter(Counter(reader.lines).values()) == {2: 50}


async def test_a_stop_leaves_no_connection_open(
    postgres_dsn: str, bootstrap: str, broker_kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while the broker is being asked whether it is there."""
    monkeypatch.setattr(runtimes, "_MEASURE_SECONDS", 0.0)
    left: list[object] = []
    gc.collect()  # what other tests have left is not this one's
    monkeypatch.setattr(sys, "unraisablehook", left.append)
    for _ in range(4):
        async with running(postgres_dsn, bootstrap, broker_kind) as runtime:
            await until(lambda one=runtime: green(one))  # type: ignore[misc]
        gc.collect()

    assert left == []
