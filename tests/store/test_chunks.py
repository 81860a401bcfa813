"""Chunks: a large batch is decided a few events at a time, with the same result as one after the other."""

import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from contracts.referral import ReferralReady
from services.kernel.consumer.decoding import EventDecoder
from services.kernel.decider.decision import Context, Decision
from services.kernel.decider.service import ProjectionWriter, StreamChange
from services.kernel.kafka.cloudevents import Record
from services.kernel.runtime.runtime import Runtime
from services.kernel.streams.envelopes import IncomingEvent
from services.kernel.streams.handler import BatchResult
from services.kernel.streams.parked import unpark
from tests.logins import alter
from tests.tally import TALLY, Tally, a_message, a_record, case_id, running, seen, tallies
from tests.tally import decide as decide_alone

COUNTER = case_id(0)
"""The stream that every `ReferralReady` counts in too, besides its own."""


def decide(tally: Tally | None, trigger: Any, context: Context) -> Decision:
    """Count as the tally does; what is ready is counted a second time in the counter."""
    if not isinstance(trigger, ReferralReady):
        return decide_alone(tally, trigger, context)
    counter: Tally = context.others.get(COUNTER) or Tally()
    counted = Decision(Tally((*counter.seen, trigger.referral_id)))
    mine = tally or Tally()
    return Decision(Tally((*mine.seen, trigger.referral_id)), others={COUNTER: counted})


def also(_state: Any, trigger: Any) -> tuple[UUID, ...]:
    """Name the counter where it is needed."""
    return (COUNTER,) if isinstance(trigger, ReferralReady) else ()


async def project(tx: ProjectionWriter, saved: Sequence[StreamChange]) -> None:
    """Write how long each stream is, and once more what was written first of it."""
    await tx.execute(
        "insert into lengths select * from unnest($1::uuid[], $2::integer[]) "
        "on conflict (stream_id) do update set length = excluded.length",
        [one.stream_id for one in saved],
        [len(one.state.seen) if one.state else 0 for one in saved],
    )
    first = [one for one in saved if one.before is None]
    if first:
        await tx.execute(
            "update lengths set first = true from unnest($1::uuid[]) as f (id) where stream_id = f.id",
            [one.stream_id for one in first],
        )


COUNTING_TWICE = replace(TALLY, decide=decide, related_streams=also, projection=project)
DECODER = EventDecoder(COUNTING_TWICE)


@pytest.fixture
async def runtime(postgres_dsn: str) -> AsyncIterator[Runtime]:
    """Run the tally that counts in a second stream, without a broker."""
    async with running(postgres_dsn, "", "none", COUNTING_TWICE) as runtime:
        await alter(
            runtime,
            "create table lengths (stream_id uuid primary key, length integer, first boolean default false)",
            "grant select, insert, update on lengths to samspil_consent",
        )
        yield runtime


def ready(n: int) -> ReferralReady:
    """Return the body of an event that is counted twice."""
    return ReferralReady(referral_id=seen(n).referral_id, send_by=seen(n).seen_at.date())


def records_of(streams: Sequence[int], *, twice: frozenset[int] = frozenset()) -> list[Record]:
    """Return one event for each number of a stream, in its order; at some positions one that counts twice."""
    seqs: Counter[int] = Counter()
    made = []
    for position, stream in enumerate(streams):
        seqs[stream] += 1
        body = ready(position) if position in twice else seen(position)
        made.append(a_record(a_message(case_id(stream), seqs[stream], body)))
    return made


def expected(streams: Sequence[int], *, twice: frozenset[int] = frozenset()) -> dict[UUID, list[str]]:
    """Return what each stream has counted in the end."""
    counted: dict[UUID, list[str]] = {}
    for position, stream in enumerate(streams):
        counted.setdefault(case_id(stream), []).append(str(seen(position).referral_id))
        if position in twice:
            counted.setdefault(COUNTER, []).append(str(seen(position).referral_id))
    return counted


async def consume(runtime: Runtime, records: Sequence[Record]) -> BatchResult:
    """Consume records in one batch."""
    async with runtime.pool.acquire() as tx:
        return await runtime.processor.process(tx, DECODER.read(records).events)


async def assert_sound(runtime: Runtime, streams: Sequence[int], twice: frozenset[int]) -> None:
    """Assert that every stream, its log and the service's own table say the same."""
    wanted = expected(streams, twice=twice)
    lengths = await runtime.pool.fetch("select stream_id, length, first from lengths")
    versions = await runtime.pool.fetch("select stream_id, version from streams")
    logged = await runtime.pool.fetch(
        "select stream_id, array_agg(seq order by seq) from event_log group by 1"
    )

    assert await tallies(runtime) == wanted
    assert {row["stream_id"]: row["length"] for row in lengths} == {at: len(of) for at, of in wanted.items()}
    assert all(row["first"] for row in lengths)
    assert {row["version"] for row in versions} == {1}
    assert all(seqs == list(range(1, len(seqs) + 1)) for _, seqs in logged)


@pytest.mark.parametrize("count", [64, 65, 128, 500])
async def test_streams_that_come_back_are_written_once(runtime: Runtime, count: int) -> None:
    """Some occur in one chunk, some in several; each is saved by one version, with all its events."""
    chance = random.Random(count)
    streams = [
        chance.randrange(1, 2 * count) if position % 3 else position % 7 + 1 for position in range(count)
    ]

    outcome = await consume(runtime, records_of(streams))

    assert outcome.applied == count
    await assert_sound(runtime, streams, frozenset())


@pytest.mark.parametrize("first", [0, 10, 100, 199])
async def test_a_related_stream_is_decided_in_any_chunk(runtime: Runtime, first: int) -> None:
    """Events that need a further stream find it as the events before them have left it.

    The further stream has an event of its own too: before them, between them, or behind them.
    """
    streams = list(range(1, 200))
    streams.insert(first, 0)
    twice = frozenset(position for position in range(5, 200, 31) if position != first)

    outcome = await consume(runtime, records_of(streams, twice=twice))

    assert outcome.applied == len(streams)
    await assert_sound(runtime, streams, twice)


async def test_a_batch_that_writes_one_thing_more_is_still_one_statement(runtime: Runtime) -> None:
    """Statements that may build on one another share a transaction; one alone goes with the save."""
    streams = [3, 1, 2, 1, 2]
    records = records_of(streams)
    await consume(runtime, records[:1])  # the driver learns of types only once
    queries: list[list[str]] = []
    for events in (DECODER.read(records[1:3]).events, DECODER.read(records[3:]).events):
        queries.append([])
        async with runtime.pool.acquire() as tx:
            with tx.query_logger(lambda query: queries[-1].append(query.query)):
                await runtime.processor.process(tx, events)

    first, second = ([query for query in of if "join streams" not in query] for of in queries)
    assert [first[0], first[-1], len(first)] == ["BEGIN;", "COMMIT;", 5]
    (one,) = second
    assert "insert into streams" in one
    assert "insert into lengths" in one
    assert await tallies(runtime) == expected(streams)
    assert await runtime.pool.fetchval("select sum(length) from lengths") == 5


async def test_an_event_is_parked_as_it_came(runtime: Runtime) -> None:
    """A hole in one stream of a large batch halts that stream alone; the parked event is kept to the byte."""
    records = records_of([*range(1, 150), 7, 7, *range(150, 200)])
    lacking = [record for record in records if dict(record.headers)["ce_sequence"] != b"0000000002"]

    outcome = await consume(runtime, lacking)
    rows = await runtime.pool.fetch(
        "select topic, kafka_partition, kafka_offset, key, headers, value, reason from parked_events"
    )

    (row,) = rows
    (parked,) = outcome.parked
    came = next(record for record in records if dict(record.headers)["ce_sequence"] == b"0000000003")
    assert (parked.reason, outcome.applied) == ("gap", len(lacking) - 1)
    assert (row["topic"], row["kafka_partition"], row["kafka_offset"], row["key"], row["value"]) == (
        came.topic, came.partition, came.offset, came.key, came.value,
    )  # fmt: skip
    event: IncomingEvent = DECODER.read([came]).events[0]
    assert event.record is None
    assert sorted(unpark(row).headers) == sorted(came.headers)
