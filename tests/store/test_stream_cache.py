"""Stream cache: streams that were just saved are not read again, and a stale one does no harm."""

from collections.abc import AsyncIterator, Sequence

import asyncpg
import pytest
from msgspec import structs

from contracts.consent import ConsentLooked
from services.kernel.consumer.decoding import EventDecoder
from services.kernel.consumer.processing import BatchStore
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
ACCESSES = case_id(9)
DECODER = EventDecoder(TALLY)


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


def event(seq: int) -> IncomingEvent:
    """Return a consumed event."""
    batch = DECODER.read([a_record(a_message(STREAM, seq, seen(seq)))])
    (one,) = batch.events
    return one


async def consume(runtime: Runtime, *seqs: int) -> BatchResult:
    """Consume events in one batch."""
    async with runtime.pool.acquire() as tx:
        return await runtime.processor.process(tx, [event(seq) for seq in seqs])


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
    """The second event of a case finds it in the cache, and is applied after the first."""
    assert await reads(one, [event(1)]) == 1
    assert await reads(one, [event(2)]) == 0
    assert await counted(one) == [str(seen(n).referral_id) for n in (1, 2)]


async def test_a_batch_of_a_single_municipality_is_read_once_and_saved_once(one: Runtime) -> None:
    """Whether there are other municipalities is asked only where an event is poison."""
    store = BatchStore(one.processor, one.settings)
    poison = [structs.replace(a_message(case_id(n), 1, seen(1)), value=b"{") for n in (2, 3)]
    batches = {
        "that the driver learns types from": poison[0],
        "of a new stream": a_message(STREAM, 1, seen(1)),
        "of a known stream": a_message(STREAM, 2, seen(2)),
        "with poison": poison[1],
    }
    statements: dict[str, list[str]] = {}
    async with one.pool.acquire() as tx:
        for name, message in batches.items():
            said: list[str] = []
            with tx.query_logger(lambda query, said=said: said.append(query.query)):
                await store.store(tx, DECODER.read([a_record(message)]))
            statements[name] = said

    del statements["that the driver learns types from"]
    assert {name: [*map(_kind_of, found)] for name, found in statements.items()} == {
        "of a new stream": ["read", "save"],
        "of a known stream": ["save"],
        "with poison": ["read", "other municipalities", "read", "save"],
    }


def _kind_of(statement: str) -> str:
    """Return what a statement is for."""
    kinds = {"join streams s": "read", "max(tenant)": "other municipalities", "upserted_streams": "save"}
    (found,) = (kind for part, kind in kinds.items() if part in statement)
    return found


async def test_a_command_is_decided_on_the_current_state(one: Runtime) -> None:
    """A command reads, and the event after it finds what the command has left."""
    await consume(one, 1)
    command = Envelope(STREAM, TENANT, Count(ACTOR), Actor(ACTOR, "caseworker", TENANT), START, "a", "a")

    assert await reads(one, [command]) == 1
    assert await reads(one, [event(2)]) == 0
    assert len(await counted(one)) == 3


async def test_what_another_process_did_meanwhile_is_noticed(one: Runtime, two: Runtime) -> None:
    """An event that another process applied is a duplicate, though it would be next by the cached mark."""
    await consume(one, 1)
    await consume(two, 2)
    outcome = await consume(one, 2)
    await consume(one, 3)

    assert (outcome.applied, outcome.duplicates) == (0, 1)
    assert await counted(one) == [str(seen(n).referral_id) for n in (1, 2, 3)]


async def test_a_stream_that_halts_is_read_each_time(one: Runtime, two: Runtime) -> None:
    """A cached one would not show that an operator has released it."""
    await consume(one, 1, 3)
    async with two.pool.acquire() as tx:
        await two.processor.process(tx, [event(2)])
        await Redelivery(two.processor).drain(tx, (TENANT, STREAM))
    await consume(one, 4)

    assert await counted(one) == [str(seen(n).referral_id) for n in (1, 2, 3, 4)]


async def test_an_event_is_not_set_aside_behind_nothing(one: Runtime, two: Runtime) -> None:
    """While one process reads a halted stream the other releases it: the first must read again."""
    await consume(one, 2)
    async with one.pool.acquire() as tx:
        seen_halting = await one.processor.decide_batch(tx, [event(3)])
        async with two.pool.acquire() as other:
            await two.processor.process(other, [event(1)])
            await Redelivery(two.processor).drain(other, (TENANT, STREAM))
        rows = [row for row in seen_halting.streams.values() if row.changed]

        with pytest.raises(asyncpg.SerializationError):
            await save(tx, WriteSet(rows), parked=seen_halting.parked)
    await consume(one, 3)

    assert [at.reason for at in seen_halting.parked] == ["behind"]
    assert await counted(one) == [str(seen(n).referral_id) for n in (1, 2, 3)]


def test_only_the_last_are_kept() -> None:
    """However many streams there are, the memory for them has its bound."""
    cache = StreamCache(2)
    cache.put([a_stream(n) for n in range(3)], cache.generation)

    found = cache.pop([(TENANT, case_id(n)) for n in range(3)])
    assert found.keys() == {(TENANT, case_id(1)), (TENANT, case_id(2))}


def test_a_batch_from_before_a_clear_is_not_cached() -> None:
    """A batch of the old database says nothing about the new one."""
    cache = StreamCache(2)
    generation = cache.generation
    cache.clear()
    cache.put([a_stream(1)], generation)

    assert cache.pop([(TENANT, case_id(1))]) == {}


def a_stream(n: int) -> StoredStream:
    """Return a stream that was just saved."""
    return StoredStream(case_id(n), str(case_id(n)), TENANT, 1, 0, "{}", "tally", '{"kind":"tally"}')


def access(n: int) -> Envelope:
    """Return the record of an access, which is appended to the stream of the person who read."""
    cause = str(new_id())
    event = ConsentLooked(case_id=case_id(n), what=("status",), purpose="test")
    return Envelope(
        ACCESSES, TENANT, AppendEvent(event), Actor(ACTOR, "caseworker", TENANT), START, cause, cause
    )


async def accesses_in(runtime: Runtime) -> list[tuple[int, str]]:
    """Return the accesses in the log by number, with the cases that were read."""
    rows = await runtime.pool.fetch(
        "select seq, data ->> 'case_id' as seen from event_log where stream_id = $1 order by seq", ACCESSES
    )
    return [(row["seq"], row["seen"]) for row in rows]


async def test_an_access_is_appended_without_a_read(one: Runtime) -> None:
    """No rule decides it: its stream is in the cache, and no watermark is read."""
    statements: list[str] = []
    async with one.pool.acquire() as tx:
        await one.processor.process(tx, [access(1)])
        with tx.query_logger(lambda said: statements.append(said.query)):
            await one.processor.process(tx, [access(2)])

    assert len(statements) == 1
    assert await accesses_in(one) == [(1, str(case_id(1))), (2, str(case_id(2)))]


async def test_accesses_at_two_processes_have_one_sequence(one: Runtime, two: Runtime) -> None:
    """Where another process has changed the cached stream it is read again, and the access follows."""
    for n, process in enumerate((one, two, one, one, two)):
        async with process.pool.acquire() as tx:
            await process.processor.process(tx, [access(n)])

    assert await accesses_in(one) == [(n + 1, str(case_id(n))) for n in range(5)]
