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

from services.kernel.decider.service import Service
from services.kernel.embedded.quiescence import wait_until_idle
from services.kernel.kafka.clients import is_open, position
from services.kernel.limits import Limits
from services.kernel.outbox.republish import republish
from services.kernel.runtime.runtime import Runtime
from tests.apache_kafka import ApacheKafka
from tests.relay_load import (
    SUBSCRIBER,
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


async def test_a_stream_is_sent_in_order_beside_other_writers(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """A waits for B on one stream while C, on another, stays open: B's event precedes A's, C delays none.

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
    assert firsts == {stream_id: sorted(positions) for stream_id, positions in firsts.items()}
    assert all(positions[-1] == len(positions) for positions in firsts.values())


async def test_an_earlier_event_of_another_writer_is_sent_first(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """An event that does not go on from what was sent waits for the reading that finds those before it."""
    service: Service = replace(TALLY, watermark_event=None)
    limits = Limits(relay_poll_seconds=1e9)
    async with running(postgres_dsn, bootstrap, broker_kind, service, limits=limits) as one:
        await until(lambda: leading(one))
        async with (
            running(postgres_dsn, bootstrap, broker_kind, service, limits=limits) as two,
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


async def test_events_of_a_later_timeline_wait_for_a_new_session(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """The pool has reached the database that took over, before the relay's session has ended."""
    service: Service = replace(TALLY, watermark_event=None)
    limits = Limits(relay_poll_seconds=1e9)
    async with (
        running(postgres_dsn, bootstrap, broker_kind, service, limits=limits) as runtime,
        running(postgres_dsn, bootstrap, broker_kind, SUBSCRIBER) as subscriber,
    ):
        await load(runtime, 1, 3)
        await until(lambda: counted(subscriber, 3))
        await until(lambda: all_sent(runtime))
        with standing_still(pid := await at_rest(runtime)):
            await runtime.pool.execute(ANOTHER_HISTORY)
            await runtime.pool.expire_connections()
            await load(runtime, 1, 1, first=4)
            await runtime.pool.execute("select pg_terminate_backend($1)", pid)
        settled = await wait_until_idle({"consent": runtime, "agreement": subscriber})
        found = await tallies(subscriber)
        parked = await subscriber.pool.fetchval("select array_agg(reason) from parked_events")

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
    """Return the process of the relay's session, once the relay waits for a commit."""
    found: list[int] = []

    async def rests() -> bool:
        found[:] = [row["pid"] for row in await runtime.pool.fetch(RESTING)]
        return bool(found) and runtime.relay.is_idle

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


async def test_a_standby_is_not_woken_by_commits(postgres_dsn: str, bootstrap: str, broker_kind: str) -> None:
    """A standby tries to lead about once a second, however much its process writes."""
    async with running(postgres_dsn, bootstrap, broker_kind) as one:
        await until(lambda: leading(one))
        async with running(postgres_dsn, bootstrap, broker_kind) as two:
            await until(lambda: attempts_to_lead(two))
            attempts: dict[Any, Any] = {}
            for k in range(1, 41):
                await apply(two, *(count(n, k) for n in range(5)))
                row = await two.pool.fetchrow(ATTEMPT)
                attempts[row and row["state_change"]] = row and row["now"]

    times = list(attempts.values())
    assert len(attempts) <= (times[-1] - times[0]).total_seconds() + 3


ATTEMPT = """
select state_change, clock_timestamp() as now from pg_stat_activity
where query like 'select pg_try_advisory_lock%' and datname = current_database() limit 1
"""


async def attempts_to_lead(runtime: Runtime) -> bool:
    """Return whether a relay stands by."""
    return await runtime.pool.fetchrow(ATTEMPT) is not None


async def leading(*runtimes: Runtime) -> bool:
    """Return whether one of these relays leads."""
    return any(runtime.relay.is_leader for runtime in runtimes)


async def stands_by(runtime: Runtime) -> bool:
    """Return whether this relay does not lead."""
    return not runtime.relay.is_leader


async def test_a_relay_that_stops_releases_the_lead_at_once(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """What a process that stops had not sent is sent by the next leader."""
    async with running(postgres_dsn, bootstrap, broker_kind) as one:
        await until(lambda: leading(one))
        async with running(postgres_dsn, bootstrap, broker_kind) as two, reading(bootstrap) as reader:
            await load(one, 5, 4)
            await one.stop()
            await load(two, 5, 4, first=5)
            await reader.read_until(lambda: len(reader.ids()) == 40)
            assert two.relay.is_leader

    assert reader.firsts() == in_order(5, 8)


async def test_a_relay_stops_also_where_the_database_does_not_answer(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """A session that does not end in time does not swallow a cancellation: two would relay at once."""
    service, limits = (
        replace(TALLY, watermark_event=None),
        Limits(relay_close_seconds=0.2, relay_poll_seconds=1e9),
    )
    async with running(postgres_dsn, bootstrap, broker_kind, service, limits=limits) as runtime:
        with standing_still(await at_rest(runtime)):
            await runtime.stop_relay()
            left = [task for task in asyncio.all_tasks() if task.get_name() == "relay"]
        runtime.connect_broker()

    assert left == []


async def test_a_relay_leaves_no_connection_to_a_silent_broker(
    postgres_dsn: str, fallible: Fallible, broker_kind: str
) -> None:
    """A producer that cannot be stopped in time is closed: else each fall of a broker leaves one for good."""
    limits = Limits(relay_close_seconds=0.2, gauges_seconds=1e9)
    pid = fallible.nodes[0].child.pid if isinstance(fallible, ApacheKafka) else fallible.pid
    async with running(postgres_dsn, fallible.bootstrap, broker_kind, limits=limits) as runtime:
        await load(runtime, 1, 1)
        await until(lambda: all_sent(runtime))
        sender = runtime.relay.producer
        assert sender is not None
        with standing_still(pid):
            await load(runtime, 1, 1, first=2)
            await until(lambda: in_flight(sender))
            await runtime.stop_relay()
            left = is_open(sender)
            await until(lambda: ended(sender))
        runtime.connect_broker()

    assert not left


async def test_a_consumer_leaves_no_connection_to_a_dead_broker(
    postgres_dsn: str, fallible: Fallible, broker_kind: str
) -> None:
    """Also where a fetch waits to be tried again."""
    async with (
        running(postgres_dsn, fallible.bootstrap, broker_kind),
        running(postgres_dsn, fallible.bootstrap, broker_kind, SUBSCRIBER) as runtime,
    ):
        await until(lambda: green(runtime))
        assert runtime.consumer is not None
        consumer: Any = runtime.consumer.consumer
        consumer._fetcher._retry_backoff = 3_600.0
        await until(lambda: has_positions(consumer))
        await fallible.kill()
        await until(lambda: tries_again(consumer))
        await runtime.disconnect_broker()
        left = is_open(consumer)
        await fallible.start()
        runtime.connect_broker()

    assert not left


async def has_positions(consumer: Any) -> bool:
    """Return whether a consumer has begun to fetch."""
    positions = [position(consumer, partition) for partition in consumer.assignment()]
    return bool(positions) and None not in positions


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


async def test_a_republish_of_events_in_flight_is_sent(
    postgres_dsn: str, fallible: Fallible, broker_kind: str
) -> None:
    """An operator's whole resend is not lost to a part of it that was under way."""
    limits = Limits(gauges_seconds=1e9)
    pid = fallible.nodes[0].child.pid if isinstance(fallible, ApacheKafka) else fallible.pid
    service: Service = replace(TALLY, watermark_event=None)
    async with running(postgres_dsn, fallible.bootstrap, broker_kind, service, limits=limits) as runtime:
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
    runtime.relay.buffer.enqueue(())


async def taken(runtime: Runtime) -> bool:
    """Return whether the relay has read everything that it was woken for."""
    return runtime.relay.is_idle


def twice(reader: Reader) -> Iterator[str]:
    """Return the ids that came more than once."""
    seen: set[str] = set()
    for *_, event_id in reader.lines:
        if event_id in seen:
            yield event_id
        seen.add(event_id)


@pytest.mark.parametrize("rows", [3, 4])
async def test_a_long_backlog_is_sent_once_and_in_order(
    postgres_dsn: str, bootstrap: str, broker_kind: str, rows: int
) -> None:
    """While a batch is sent the next is read; each is deleted, and nothing is sent twice."""
    limits = Limits(relay_rows=rows)
    async with (
        running(postgres_dsn, bootstrap, broker_kind, limits=limits) as sender,
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
    """A consumer recognises a duplicate: it has the id, the sequence and the body that it had."""
    async with (
        running(postgres_dsn, bootstrap, broker_kind) as sender,
        running(postgres_dsn, bootstrap, broker_kind, SUBSCRIBER) as subscriber,
        reading(bootstrap) as reader,
    ):
        await load(sender, 5, 10)
        await until(lambda: counted(subscriber, 50))
        await again(sender)
        await reader.read_until(lambda: len(reader.lines) == 100)
        found = await tallies(subscriber)

    assert found == all_counted(5, 10)
    assert Counter(Counter(reader.lines).values()) == {2: 50}


async def test_a_stop_leaves_no_connection_open(
    postgres_dsn: str, bootstrap: str, broker_kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while the broker is queried."""
    limits = Limits(gauges_seconds=0)
    left: list[object] = []
    gc.collect()  # what other tests have left is not this one's
    monkeypatch.setattr(sys, "unraisablehook", left.append)
    for _ in range(4):
        async with running(postgres_dsn, bootstrap, broker_kind, limits=limits) as runtime:
            await until(lambda one=runtime: green(one))  # type: ignore[misc]
        gc.collect()

    assert left == []
