"""What was committed is sent in the order of its stream, by one relay at a time, whatever falls over."""

import asyncio
import gc
import itertools
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts.consent import ConsentGiven, ConsentTicked
from services.kernel import metrics, relay
from services.kernel import runtime as runtimes
from services.kernel.database import Session, connect
from services.kernel.decision import Actor, Decision
from services.kernel.embedded import Broker
from services.kernel.embedded import broker as embedded_broker
from services.kernel.ids import new_id
from services.kernel.resending import resend
from services.kernel.runtime import Runtime
from services.kernel.service import Service
from services.kernel.streams import fresh
from services.kernel.up import replace_broker
from services.kernel.weighing import Asked
from tests.apache_kafka import ApacheKafka
from tests.apache_kafka import apache_kafka as kafka_cluster
from tests.servers import running as in_its_own_loop
from tests.servers import scratch_folder
from tests.tally import ACTOR, START, TALLY, TENANT, Count, Tally, case_id, running, tallies
from tests.waiting import under_way, until

TOPIC = "samspil.consent.v1"
ROOT = Path(__file__).parents[2]
Line = tuple[UUID, int, str]
"""One event on the topic: its stream, its number there, its id."""


def count_of(n: int, k: int) -> UUID:
    """Return what is counted as the k-th in the n-th stream."""
    return uuid5(NAMESPACE_URL, f"{n} {k}")


def count(n: int, k: int) -> Asked:
    """Return the command to count it."""
    cause = str(new_id())
    command = Count(count_of(n, k))
    return Asked(case_id(n), TENANT, command, Actor(ACTOR, "caseworker", TENANT), START, cause, cause)


async def apply(runtime: Runtime, *asked: Asked) -> None:
    """Apply commands, again where others were always quicker."""
    while True:
        try:
            async with runtime.pool.acquire() as tx:
                await runtime.step.apply(tx, asked)
        except asyncpg.SerializationError:
            continue
        return


async def load(runtime: Runtime, streams: int, each: int, *, first: int = 1) -> None:
    """Count in many streams, portion by portion."""
    for k in range(first, first + each):
        await apply(runtime, *(count(n, k) for n in range(streams)))


class Load:
    """Counts in many streams until it is told to end."""

    def __init__(self, runtime: Runtime, streams: int) -> None:
        self._runtime = runtime
        self._streams = range(streams)
        self._each = 0
        self._ending = False

    async def run(self) -> None:
        """Count portion by portion."""
        while not self._ending:
            await apply(self._runtime, *(count(n, self._each + 1) for n in self._streams))
            self._each += 1

    async def end(self) -> int:
        """Finish the portion under way; return how often each stream was counted in."""
        self._ending = True
        await self.task
        return self._each

    task: "asyncio.Task[None]"


class Reader:
    """Reads a topic from its beginning, and keeps what it read."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self.lines: list[Line] = []
        self.ticked: list[int] = []

    async def read(self) -> None:
        """Take what has come."""
        for records in (await self._consumer.getmany(timeout_ms=200)).values():
            for record in records:
                headers = dict(record.headers)
                if headers["ce_type"] == ConsentTicked.type.encode():
                    self.ticked.append(record.partition)
                    continue
                place = int(headers["ce_sequence"])
                self.lines.append((UUID(record.key.decode()), place, headers["ce_id"].decode()))

    async def read_until(self, holds: Callable[[], bool]) -> None:
        """Read until something holds of what was read."""

        async def held() -> bool:
            await self.read()
            return holds()

        await until(held)

    def firsts(self) -> dict[UUID, list[int]]:
        """Return the numbers of each stream in the order in which they came first."""
        found: dict[UUID, dict[int, None]] = {}
        for stream_id, place, _ in self.lines:
            found.setdefault(stream_id, {})[place] = None
        return {stream_id: list(places) for stream_id, places in found.items()}

    def ids(self) -> set[str]:
        """Return the ids that came."""
        return {event_id for *_, event_id in self.lines}


@asynccontextmanager
async def reading(bootstrap: str, partitions: int = 4) -> AsyncIterator[Reader]:
    """Read the tally's topic while the block runs."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, fetch_max_wait_ms=50)
    await consumer.start()
    try:
        everywhere = [TopicPartition(TOPIC, n) for n in range(partitions)]
        consumer.assign(everywhere)
        await consumer.seek_to_beginning(*everywhere)
        yield Reader(consumer)
    finally:
        await consumer.stop()


def in_order(streams: int, each: int) -> dict[UUID, list[int]]:
    """Return the numbers of streams that are whole and in order."""
    return {case_id(n): list(range(1, each + 1)) for n in range(streams)}


def hear(tally: Tally | None, asked: Any, _given: Any) -> Decision:
    """Count what the tally says."""
    now = tally or Tally()
    return Decision(Tally((*now.seen, asked.consent_id), now.woken))


LISTENER = replace(TALLY, name="agreement", decide=hear, hears=(ConsentGiven, ConsentTicked), ticks=None)


async def total(runtime: Runtime) -> int:
    """Return how much a listener has heard."""
    return sum(map(len, (await tallies(runtime)).values()))


async def counted(runtime: Runtime, number: int) -> bool:
    """Return whether a listener has heard so much."""
    return await total(runtime) >= number


def all_counted(streams: int, each: int) -> dict[UUID, list[str]]:
    """Return what a listener holds when it has heard everything once and in order."""
    return {case_id(n): [str(count_of(n, k)) for k in range(1, each + 1)] for n in range(streams)}


async def pending(runtime: Runtime) -> int:
    """Return how many events wait to be sent."""
    found: int = await runtime.pool.fetchval("select coalesce(sum(cardinality(ids)), 0) from pending")
    return found


async def all_sent(runtime: Runtime) -> bool:
    """Return whether nothing waits to be sent."""
    return await pending(runtime) == 0


async def other_writer(dsn: str) -> Session:
    """Return a connection of another process."""
    return await connect(dsn, schema="consent")


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
        await runtime.step.once(third, [count(1, 4)])
        await earlier.start()
        await runtime.step.once(second, [count(0, 4)])
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
        first, other = (one, two) if one.relay.leads else (two, one)
        stranger = await other_writer(postgres_dsn)
        writing = asyncio.create_task(load(other, 20, 40))
        await reader.read_until(lambda: len(reader.ids()) >= 20)
        await stranger.execute("select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'")
        await until(lambda: leading(other))
        await writing
        await reader.read_until(lambda: len(reader.ids()) == 800)
        await until(lambda: stands_by(first))
        works = [each.relay.works() for each in (first, other)]
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
    return any(runtime.relay.leads for runtime in runtimes)


async def stands_by(runtime: Runtime) -> bool:
    """Return whether this relay does not lead."""
    return not runtime.relay.leads


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
            assert two.relay.leads

    assert reader.firsts() == in_order(5, 8)


# A broker that falls over

Fallible = Broker | ApacheKafka


@pytest.fixture
def fallible(broker_kind: str) -> Iterator[Fallible]:
    """Run a broker of the test's own, which may be killed."""
    with scratch_folder() as folder:
        server: Any = kafka_cluster if broker_kind == "kafka" else embedded_broker
        with in_its_own_loop(server(folder / "broker")) as running_:
            yield running_


async def come_back(broker: Fallible, runtimes: Sequence[Runtime]) -> None:
    """Start the broker again; one that keeps nothing is filled from the log."""
    if isinstance(broker, Broker):
        await replace_broker(broker, runtimes, runtimes[0].settings)
    else:
        await broker.start()


async def test_a_broker_that_is_killed_under_load_costs_nothing(
    postgres_dsn: str, fallible: Fallible, broker_kind: str
) -> None:
    """Killed and started in the middle of a load: the consumer ends with everything, once and in order."""
    async with (
        running(postgres_dsn, fallible.bootstrap, broker_kind) as sender,
        running(postgres_dsn, fallible.bootstrap, broker_kind, LISTENER) as listener,
        under_way(Load(sender, 10)) as load,
    ):
        await until(lambda: counted(listener, 100))
        await fallible.kill()
        await until(lambda: pending_at_least(sender, 30))
        await come_back(fallible, [sender, listener])
        before = await total(listener)
        await until(lambda: counted(listener, before + 100), seconds=120)
        each = await load.end()
        await until(lambda: counted(listener, 10 * each), seconds=120)
        await until(lambda: all_sent(sender))
        found = await tallies(listener)
        parked = await listener.pool.fetchval("select count(*) from parked_events")

    assert found == all_counted(10, each)
    assert parked == 0


async def pending_at_least(runtime: Runtime, number: int) -> bool:
    """Return whether so many events wait to be sent."""
    return await pending(runtime) >= number


async def test_what_could_not_be_sent_is_kept(
    postgres_dsn: str, fallible: Fallible, broker_kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the broker is away commands go on, nothing is deleted, and it shows; then all of it is sent."""
    monkeypatch.setattr(relay, "_ALIVE_SECONDS", 3.0)
    monkeypatch.setattr(relay, "_ACK_SECONDS", 3.0)
    async with running(postgres_dsn, fallible.bootstrap, broker_kind) as runtime:
        await load(runtime, 10, 2)
        await until(lambda: all_sent(runtime))
        await until(lambda: is_up(1.0))
        failures = relay_failures()
        await fallible.kill()
        await load(runtime, 10, 3, first=3)
        await until(lambda: is_up(0.0))
        await until(lambda: failed(failures + 3), seconds=60)
        kept = await pending(runtime)
        await until(lambda: red(runtime), seconds=60)
        await come_back(fallible, [runtime])
        await until(lambda: all_sent(runtime), seconds=60)
        await until(lambda: is_up(1.0))
        await until(lambda: green(runtime))
        async with reading(fallible.bootstrap) as reader:
            await reader.read_until(lambda: len(reader.ids()) == 50)

    assert kept == 30
    assert reader.firsts() == in_order(10, 5)


async def is_up(value: float) -> bool:
    """Return whether the metric says so of the broker."""
    found: float = metrics.BROKER_UP.labels("consent")._value.get()
    return found == value


def relay_failures() -> float:
    """Return how many rounds of the relay have failed."""
    found: float = metrics.RELAY_FAILURES.labels("consent")._value.get()
    return found


async def failed(times: float) -> bool:
    """Return whether so many rounds have failed."""
    return relay_failures() >= times


async def red(runtime: Runtime) -> bool:
    """Return whether the service says that it cannot reach the broker."""
    return not {"relay", "broker"}.isdisjoint(await runtime.why_not_ready())


async def green(runtime: Runtime) -> bool:
    """Return whether the service says that it may be used."""
    return await runtime.why_not_ready() == {}


async def test_a_broker_that_is_away_shows_also_when_nothing_is_to_be_sent(
    postgres_dsn: str, fallible: Fallible, broker_kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that neither ticks nor writes notices as well."""
    monkeypatch.setattr(runtimes, "_MEASURE_SECONDS", 1.0)
    async with running(postgres_dsn, fallible.bootstrap, broker_kind, replace(TALLY, ticks=None)) as runtime:
        await until(lambda: green(runtime))
        await fallible.kill()
        await until(lambda: is_up(0.0))
        await until(lambda: red(runtime), seconds=60)
        await come_back(fallible, [runtime])
        await until(lambda: is_up(1.0))
        await until(lambda: green(runtime))


CHILD = """
import asyncio, sys
from pathlib import Path
from services.kernel.logs import set_up_logs
from tests.tally import running

async def main(dsn, bootstrap, kind, log):
    set_up_logs("info", Path(log))
    async with running(dsn, bootstrap, kind) as runtime:
        while await runtime.why_not_ready():
            await asyncio.sleep(0.05)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_broker_that_is_away_fills_no_disk(
    postgres_dsn: str, fallible: Fallible, broker_kind: str, tmp_path: Path
) -> None:
    """A process whose broker is away writes less than one line a second, of its own and its libraries'."""
    log = tmp_path / "log"
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        CHILD,
        postgres_dsn,
        fallible.bootstrap,
        broker_kind,
        str(log),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    async with asyncio.timeout(60):
        assert await child.stdout.readline() == b"ready\n"
    before = lines(log)
    await fallible.kill()
    ends = time.monotonic() + 20.0

    async def over() -> bool:
        return time.monotonic() > ends

    await until(over)
    written = lines(log) - before
    child.stdin.write(b"\n")
    async with asyncio.timeout(60):
        await child.wait()

    assert 0 < written < 20


def lines(file: Path) -> int:
    """Return how many lines a file has."""
    return len(file.read_text(encoding="utf-8").splitlines())


# Ticks


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
        trusted = await runtime.step.known.horizon.known(tx)
    return all(trusted(fresh(case_id(n), TENANT)) for n in streams)


async def horizon(runtime: Runtime) -> dict[int, Any]:
    """Return the last tick of each partition."""
    return {row["part"]: row["at"] for row in await runtime.pool.fetch("select part, at from horizon")}


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


# Sending again


async def test_what_is_queued_again_while_it_is_being_sent_is_sent(
    postgres_dsn: str, fallible: Fallible, broker_kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator's whole resend is not lost to a part of it that was under way."""
    monkeypatch.setattr(runtimes, "_MEASURE_SECONDS", 1e9)
    pid = fallible.nodes[0].child.pid if isinstance(fallible, ApacheKafka) else fallible.pid
    service: Service = replace(TALLY, ticks=None)
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
        await resend(tx, **part)  # type: ignore[arg-type]
    runtime.relay.tell(())


async def taken(runtime: Runtime) -> bool:
    """Return whether the relay has taken all that it was told of."""
    return not runtime.relay._kick.is_set()


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
        await sender.let_go()
        await load(sender, 5, 20)
        assert await pending(sender) == 100
        sender.take_hold()
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
