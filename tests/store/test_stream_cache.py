"""What a process has just saved it need not read again, and is never deceived by."""

from collections.abc import AsyncIterator, Sequence

import asyncpg
import pytest

from contracts.consent import ConsentLooked
from services.kernel.consumer.decoding import EventDecoder
from services.kernel.consumer.redelivery import Redelivery
from services.kernel.decider.decision import Actor
from services.kernel.ids import new_id
from services.kernel.runtime.runtime import Runtime
from services.kernel.streams.cache import StreamCache
from services.kernel.streams.envelopes import AppendEvent, Envelope, IncomingEvent
from services.kernel.streams.handler import BatchResult
from services.kernel.streams.store import WriteSet, save
from services.kernel.streams.stream import StoredStream
from tests.tally import (
    ACTOR,
    START,
    TALLY,
    TENANT,
    Count,
    a_message,
    a_record,
    case_id,
    running,
    seen,
    tallies,
)

STREAM = case_id(1)
LOOKS = case_id(9)
HEARING = EventDecoder(TALLY)


@pytest.fixture
async def one(postgres_dsn: str) -> AsyncIterator[Runtime]:
    """Run a process of the tally."""
    async with running(postgres_dsn, "", "none") as runtime:
        yield runtime


@pytest.fixture
async def two(postgres_dsn: str, one: Runtime) -> AsyncIterator[Runtime]:  # noqa: ARG001  the second of two
    """Run another."""
    async with running(postgres_dsn, "", "none") as runtime:
        yield runtime


def heard(seq: int) -> IncomingEvent:
    """Return an event as it is heard."""
    batch = HEARING.read([a_record(a_message(STREAM, seq, seen(seq)))])
    (event,) = batch.events
    return event


async def hear(runtime: Runtime, *seqs: int) -> BatchResult:
    """Hear events in one batch."""
    async with runtime.pool.acquire() as tx:
        return await runtime.processor.process(tx, [heard(seq) for seq in seqs])


async def reads(runtime: Runtime, batch: Sequence[Envelope]) -> int:
    """Apply a batch, and return how often streams were read for it."""
    statements: list[str] = []
    async with runtime.pool.acquire() as tx:
        with tx.query_logger(lambda said: statements.append(said.query)):
            await runtime.processor.process(tx, batch)
    return sum("join streams s" in statement for statement in statements)


async def counted(runtime: Runtime) -> list[str]:
    """Return what the stream has counted."""
    return (await tallies(runtime)).get(STREAM, [])


async def test_what_was_just_saved_is_not_read_again(one: Runtime) -> None:
    """The second event of a case finds it in mind, and comes behind the first."""
    assert await reads(one, [heard(1)]) == 1
    assert await reads(one, [heard(2)]) == 0
    assert await counted(one) == [str(seen(n).referral_id) for n in (1, 2)]


async def test_whoever_asks_is_answered_by_what_is_so_now(one: Runtime) -> None:
    """A command reads, and the event after it finds what the command has left."""
    await hear(one, 1)
    asked = Envelope(STREAM, TENANT, Count(ACTOR), Actor(ACTOR, "caseworker", TENANT), START, "a", "a")

    assert await reads(one, [asked]) == 1
    assert await reads(one, [heard(2)]) == 0
    assert len(await counted(one)) == 3


async def test_what_another_process_did_meanwhile_is_noticed(one: Runtime, two: Runtime) -> None:
    """An event that another has taken is known for what it is, though it is next by what was in mind."""
    await hear(one, 1)
    await hear(two, 2)
    outcome = await hear(one, 2)
    await hear(one, 3)

    assert (outcome.applied, outcome.duplicates) == (0, 1)
    assert await counted(one) == [str(seen(n).referral_id) for n in (1, 2, 3)]


async def test_a_stream_that_halts_is_read_each_time(one: Runtime, two: Runtime) -> None:
    """Who keeps it in mind would not learn that an operator has let it go on."""
    await hear(one, 1, 3)
    async with two.pool.acquire() as tx:
        await two.processor.process(tx, [heard(2)])
        await Redelivery(two.processor).drain(tx, STREAM)
    await hear(one, 4)

    assert await counted(one) == [str(seen(n).referral_id) for n in (1, 2, 3, 4)]


async def test_an_event_is_not_set_aside_behind_nothing(one: Runtime, two: Runtime) -> None:
    """While one sees a stream halt the other lets it go on: the first must look again."""
    await hear(one, 2)
    async with one.pool.acquire() as tx:
        seen_halting = await one.processor.decide_batch(tx, [heard(3)])
        async with two.pool.acquire() as other:
            await two.processor.process(other, [heard(1)])
            await Redelivery(two.processor).drain(other, STREAM)
        rows = [row for row in seen_halting.streams.values() if row.changed]

        with pytest.raises(asyncpg.SerializationError):
            await save(tx, WriteSet(rows), parked=seen_halting.parked)
    await hear(one, 3)

    assert [at.reason for at in seen_halting.parked] == ["behind"]
    assert await counted(one) == [str(seen(n).referral_id) for n in (1, 2, 3)]


def test_only_the_last_are_kept() -> None:
    """However many streams there are, the memory for them has its bound."""
    recent = StreamCache(2)
    recent.put([a_stream(n) for n in range(3)], recent.generation)

    assert recent.pop([case_id(n) for n in range(3)]).keys() == {case_id(1), case_id(2)}


def test_what_began_before_everything_was_forgotten_is_not_kept() -> None:
    """A batch of the old database says nothing about the new one."""
    recent = StreamCache(2)
    began = recent.generation
    recent.clear()
    recent.put([a_stream(1)], began)

    assert recent.pop([case_id(1)]) == {}


def a_stream(n: int) -> StoredStream:
    """Return a stream that was just saved."""
    return StoredStream(case_id(n), str(case_id(n)), TENANT, 1, 0, "{}", "tally", '{"kind":"tally"}')


def looked(n: int) -> Envelope:
    """Return the note of a look, which goes into the stream of whoever looked."""
    cause = str(new_id())
    event = ConsentLooked(case_id=case_id(n), what=("status",), purpose="test")
    return Envelope(
        LOOKS, TENANT, AppendEvent(event), Actor(ACTOR, "caseworker", TENANT), START, cause, cause
    )


async def told_of(runtime: Runtime) -> list[tuple[int, str]]:
    """Return the looks in the log by number, with the cases that were looked at."""
    rows = await runtime.pool.fetch(
        "select seq, data ->> 'case_id' as seen from event_log where stream_id = $1 order by seq", LOOKS
    )
    return [(row["seq"], row["seen"]) for row in rows]


async def test_a_look_that_is_noted_waits_for_no_reading(one: Runtime) -> None:
    """It changes nothing and is decided by nothing: its stream is in mind, and consents are not asked for."""
    statements: list[str] = []
    async with one.pool.acquire() as tx:
        await one.processor.process(tx, [looked(1)])
        with tx.query_logger(lambda said: statements.append(said.query)):
            await one.processor.process(tx, [looked(2)])

    assert len(statements) == 1
    assert await told_of(one) == [(1, str(case_id(1))), (2, str(case_id(2)))]


async def test_looks_at_two_processes_count_on(one: Runtime, two: Runtime) -> None:
    """What one has in mind of a stream the other has moved on: it is read, and the look counts behind."""
    for n, process in enumerate((one, two, one, one, two)):
        async with process.pool.acquire() as tx:
            await process.processor.process(tx, [looked(n)])

    assert await told_of(one) == [(n + 1, str(case_id(n))) for n in range(5)]
