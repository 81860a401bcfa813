"""A batch of any size is saved whole or not at all, in order, and with concurrent writers nothing is lost."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import asyncpg
import msgspec
import pytest
from msgspec import Struct

from contracts.consent import ConsentGiven
from services.kernel.decider.decision import Actor, Decision, Effect, PrivateValue, Timer
from services.kernel.decider.service import EventMetadata, RecordedEvent
from services.kernel.ids import new_id
from services.kernel.kafka.cloudevents import OutgoingEvent
from services.kernel.outbox.pending import from_log
from services.kernel.postgres.connections import Session, connect, tenant_transaction
from services.kernel.postgres.migrations import migrate
from services.kernel.privacy.encryption import Keyring, NewKey, SealedRow, ValueToSeal
from services.kernel.privacy.key_store import FileKeyStore
from services.kernel.streams.envelopes import Envelope
from services.kernel.streams.handler import BatchResult
from services.kernel.streams.processor import BatchProcessor
from services.kernel.streams.statement import Write
from services.kernel.streams.store import WriteSet, load_streams, save
from services.kernel.streams.stream import IdempotencyRecord, LoadedStream, new_stream
from tests.examples_poison import a_parked
from tests.logins import alter
from tests.tally import ACTOR, START, TALLY, TENANT, Count, case_id, running
from tests.waiting import until


class Sheet(Struct, frozen=True, tag="tally", tag_field="kind"):
    """What a stream holds here."""

    seq: int = 0
    text: str = ""


DECODER: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Sheet)
LATER = datetime(2026, 4, 1, 4, 0, tzinfo=UTC)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TABLES = ("streams", "event_log", "pending", "timers", "effects", "sealed", "data_keys", "parked_events")
COUNTS = " union all ".join(f"select count(*) from {table}" for table in (*TABLES, "idempotency_keys"))  # noqa: S608  names from above


@pytest.fixture
async def tx(postgres_dsn: str) -> AsyncIterator[Session]:
    """Lend a connection to empty streams."""
    await migrate(postgres_dsn, TALLY)
    connection = await connect(postgres_dsn, schema="consent")
    yield connection
    await connection.close()


def body_of(n: int) -> ConsentGiven:
    """Return the n-th body."""
    consent = uuid5(NAMESPACE_URL, f"consent {n}")
    return ConsentGiven(
        consent_id=consent, referral_id=consent, holder_id=ACTOR, given_at=START, expires_at=START
    )


def append(stream: LoadedStream, count: int, *, trace: str = "") -> LoadedStream:
    """Append so many events to a stream."""
    meta = EventMetadata(START, str(ACTOR), "caseworker", str(new_id()), str(new_id()), trace)
    events = []
    for _ in range(count):
        stream.seq += 1
        events.append(
            RecordedEvent(new_id(), "consent", stream.seq, ConsentGiven.type, body_of(stream.seq), meta)
        )
    change(stream, Decision(Sheet(stream.seq)), events)
    return stream


def change(stream: LoadedStream, decision: Decision, events: Sequence[RecordedEvent]) -> None:
    """Change a stream by a decision, as the handler does."""
    stream.state, stream.changed = decision.state, True
    stream.new_events += tuple(events)
    stream.timers += decision.timers
    stream.private_values += decision.private_values
    stream.effects += decision.effects


def streams(count: int, *, events: int = 1, first: int = 0) -> list[LoadedStream]:
    """Return new streams, each with so many events."""
    return [append(new_stream(case_id(n), TENANT), events) for n in range(first, first + count)]


def written(streams: Sequence[LoadedStream], projection: Write) -> WriteSet:
    """Return a write set of streams and one statement for a service's own tables."""
    write_set = WriteSet(streams)
    statement, columns = projection
    write_set.projection_writes.append((statement, list(columns)))
    return write_set


async def again(tx: Session, streams: Sequence[LoadedStream]) -> list[LoadedStream]:
    """Return the same streams as they stand now."""
    keys = [(row.tenant, row.stream_id) for row in streams]
    found = await load_streams(tx, keys, DECODER)
    return [found[key] for key in keys]


async def counts(tx: Session) -> list[int]:
    """Return how many rows each table has."""
    return [row[0] for row in await tx.fetch(COUNTS)]


async def test_batches_of_any_size_go_through_one_statement(tx: Session) -> None:
    """One stream, a hundred or two thousand: one prepared statement saves them, another reads them."""
    saved = 0
    for size in (1, 100, 2000, 1):
        rows = streams(size, events=2, first=saved)
        saved += size
        messages = await save(tx, WriteSet(rows))
        found = await again(tx, rows)

        assert len(messages) == 2 * size
        assert [(row.version, row.seq, row.state) for row in found] == [(1, 2, Sheet(2))] * size

    assert await counts(tx) == [saved, 2 * saved, 4, 0, 0, 0, 0, 0, 0]
    prepared = await tx.fetch("select statement from pg_prepared_statements where not from_sql")
    assert sum("insert into streams" in row["statement"] for row in prepared) == 1
    assert sum("join streams s" in row["statement"] for row in prepared) == 1


async def test_a_stream_that_is_not_there_is_not_read(tx: Session) -> None:
    """Nothing is made up."""
    assert await load_streams(tx, [(TENANT, case_id(1))], DECODER) == {}
    assert await save(tx, WriteSet()) == []


async def test_what_is_saved_is_read_again_to_the_letter(tx: Session) -> None:
    """Letters, signs that separate the columns on their way, marks and the flag come back as they were."""
    document = Sheet(text='æøå "\\" \x1d\x1e\x1f \t\n {} ,')
    row = new_stream(case_id(1), TENANT)
    change(row, Decision(document), ())
    row.marks = {"referral": (7, str(case_id(2))), "evaluation": (1, str(case_id(3)))}
    row.halted = True
    empty = new_stream(case_id(2), TENANT)
    empty.changed = True

    await save(tx, WriteSet([row, empty]))
    one, two = await again(tx, [row, empty])

    assert (one.state, one.marks, one.halted) == (document, row.marks, True)
    assert (two.state, two.marks, two.halted, two.version) == (None, {}, False, 1)


async def test_a_stream_that_has_moved_undoes_everything(tx: Session, tmp_path: Path) -> None:
    """Where one of many streams was changed meanwhile nothing of the batch is saved, in no table."""
    rows = streams(3)
    await save(tx, WriteSet(rows))
    mine, others = await again(tx, rows), await again(tx, rows)
    await save(tx, WriteSet([append(others[1], 1)]))
    before = await counts(tx)
    for row in mine:
        append(row, 2)
    timers = (Timer("wake", case_id(1), LATER),)
    effects = (Effect(new_id(), "mail", {"to": "x"}),)
    change(mine[0], Decision(mine[0].state, timers=timers, effects=effects), ())
    keyring = Keyring("consent", FileKeyStore(tmp_path / "kek", mode="test"))
    key, new_key = await keyring.make(TENANT, ACTOR)
    sealed = keyring.seal(
        key, ValueToSeal(TENANT, str(case_id(0)), 2, PrivateValue(ACTOR, "word", "private"))
    )

    with pytest.raises(asyncpg.SerializationError):
        await save(
            tx,
            WriteSet(mine),
            sealed=[sealed],
            new_keys=[new_key],
            parked=[a_parked(1)],
            idempotency=IdempotencyRecord(TENANT, ACTOR, bytes(32), b"print", "{}"),
        )

    assert await counts(tx) == before
    assert [row.version for row in await again(tx, rows)] == [1, 2, 1]


async def test_the_same_id_in_two_municipalities_is_two_streams(tx: Session) -> None:
    """Finding 1: each has its own version, sequence and state, in one batch and in several."""
    mine, other = new_stream(case_id(1), TENANT), new_stream(case_id(1), "0461")
    await save(tx, WriteSet([append(mine, 1), append(other, 2)]))
    (mine,) = await again(tx, [mine])
    await save(tx, WriteSet([append(mine, 3)]))

    found = await again(tx, [mine, other])
    assert [(row.tenant, row.version, row.seq) for row in found] == [(TENANT, 2, 4), ("0461", 1, 2)]
    assert [row.state for row in found] == [Sheet(4), Sheet(2)]


async def test_a_new_stream_that_another_made_meanwhile_is_not_overwritten(tx: Session) -> None:
    """Two who begin the same stream: the second must read what the first wrote."""
    await save(tx, WriteSet(streams(1)))

    with pytest.raises(asyncpg.SerializationError):
        await save(tx, WriteSet(streams(1)))


async def test_the_log_counts_up_in_the_order_of_the_events(tx: Session) -> None:
    """Ids of the log ascend as the events were appended, and each stream's sequence has no hole."""
    rows = streams(50, events=20)
    first = await save(tx, WriteSet(rows))
    second = await save(tx, WriteSet([append(row, 20) for row in await again(tx, rows)]))

    logged = await tx.fetch("select id, stream_id, seq, event_id from event_log order by id")
    by_stream: dict[UUID, list[int]] = {}
    for row in logged:
        by_stream.setdefault(row["stream_id"], []).append(row["seq"])
    ids = [log_id for log_id, _ in (*first, *second)]
    assert ids == sorted(ids) == [row["id"] for row in logged]
    assert by_stream == {row.stream_id: list(range(1, 41)) for row in rows}
    assert [event.event_id for _, event in first] == [str(row["event_id"]) for row in logged[:1000]]


def header(event: OutgoingEvent, name: str) -> bytes:
    """Return one header of an event as it is sent."""
    return dict(event.message().headers)[name]


async def test_each_batch_is_one_row_to_send(tx: Session) -> None:
    """The relay finds the ids of a transaction together, and none for a batch without events."""
    await save(tx, WriteSet(streams(3, events=2)))
    await save(tx, WriteSet(streams(2, events=0, first=10)))

    rows = await tx.fetch("select first_id, ids from pending")
    assert [(row["first_id"], row["ids"]) for row in rows] == [(1, [1, 2, 3, 4, 5, 6])]


async def test_each_municipality_has_a_row_of_its_own_to_send(tx: Session) -> None:
    """A batch of several is several rows; together they hold its events in their order."""
    rows = [append(new_stream(case_id(n), "0440" if n % 2 else "0461"), 2) for n in range(4)]
    saved = await save(tx, WriteSet(rows))

    queued = await tx.fetch("select first_id, tenant, ids from pending order by first_id")
    assert [tuple(row) for row in queued] == [(1, "0461", [1, 2, 5, 6]), (3, "0440", [3, 4, 7, 8])]
    assert [(log_id, event.tenant) for log_id, event in saved] == [
        (log_id, "0440" if log_id in (3, 4, 7, 8) else "0461") for log_id in range(1, 9)
    ]


async def test_the_message_from_the_log_is_the_message_from_memory(tx: Session) -> None:
    """To the byte: an event that is sent again is the same event."""
    rows = [
        append(new_stream(case_id(1), TENANT), 3),
        append(new_stream(case_id(2), "0461"), 2, trace=TRACE),
        *streams(100, first=10),
    ]
    from_memory = await save(tx, WriteSet(rows))

    logged = await tx.fetch(
        "select id, event_id, stream_id, seq, tenant, type, meta, data from event_log order by id"
    )
    assert [(row["id"], from_log(row).message()) for row in logged] == [
        (log_id, event.message()) for log_id, event in from_memory
    ]
    assert header(from_memory[4][1], "traceparent") == TRACE.encode()
    assert header(from_memory[1][1], "ce_sequence") == b"0000000002"


async def test_timers_are_set_replaced_and_taken_back(tx: Session) -> None:
    """The same kind and reference is the same timer; without a time it is gone; others stay."""
    one, two = Timer("wake", case_id(1), START), Timer("nudge", case_id(1), START)
    (row,) = streams(1)
    change(row, Decision(row.state, timers=(one, two)), ())
    await save(tx, WriteSet([row]))
    assert await timers(tx) == {("wake", START), ("nudge", START)}

    (row,) = await again(tx, [row])
    change(row, Decision(row.state, timers=(Timer("wake", case_id(1), LATER),)), ())
    await save(tx, WriteSet([row]))
    assert await timers(tx) == {("wake", LATER), ("nudge", START)}

    (row,) = await again(tx, [row])
    silent = (Timer("wake", case_id(1), None), Timer("never-set", case_id(1), None))
    change(row, Decision(row.state, timers=silent), ())
    await save(tx, WriteSet([row]))
    assert await timers(tx) == {("nudge", START)}


async def timers(tx: Session) -> set[tuple[str, datetime]]:
    """Return what will fall due."""
    return {(row["kind"], row["due_at"]) for row in await tx.fetch("select kind, due_at from timers")}


async def test_within_a_batch_the_last_word_on_a_timer_counts(tx: Session) -> None:
    """Set, taken back and set anew by one batch, it is set once."""
    (row,) = streams(1)
    for due in (START, None, LATER):
        change(row, Decision(row.state, timers=(Timer("wake", case_id(1), due),)), ())

    await save(tx, WriteSet([row]))

    assert await timers(tx) == {("wake", LATER)}


async def test_an_effect_is_requested_once_a_key(tx: Session) -> None:
    """The same key again is the same thing to do, and what it is about does not change."""
    key = new_id()
    for n in range(2):
        (row,) = streams(1) if n == 0 else await again(tx, streams(1))
        change(row, Decision(row.state or Sheet(), effects=(Effect(key, "mail", {"n": str(n)}),)), ())
        await save(tx, WriteSet([row]))

    rows = await tx.fetch("select key, about from effects")
    assert [(row["key"], row["about"]) for row in rows] == [(key, '{"n":"0"}')]


async def test_an_event_is_parked_once(tx: Session) -> None:
    """However often it comes: by its sequence in its stream, or where it cannot be decoded, by its offset."""
    for offset in (5, 6):
        await save(tx, WriteSet(), parked=[a_parked(offset, stream_id=case_id(1)), a_parked(9)])
    await save(tx, WriteSet(), parked=[a_parked(10), a_parked(7, stream_id=case_id(1), seq=2)])

    rows = await tx.fetch("select kafka_offset, seq from parked_events order by kafka_offset")
    assert [(row["kafka_offset"], row["seq"]) for row in rows] == [(5, 1), (7, 2), (9, None), (10, None)]


async def test_a_key_that_was_used_undoes_the_command(tx: Session) -> None:
    """The answer is stored with the deed, so a second deed under the same key is undone."""
    key = IdempotencyRecord(TENANT, ACTOR, bytes(32), b"print", '{"id": 1}')
    await save(tx, WriteSet(streams(1)), idempotency=key)

    with pytest.raises(asyncpg.UniqueViolationError):
        await save(tx, WriteSet(streams(1, first=1)), idempotency=key)

    assert await load_streams(tx, [(TENANT, case_id(1))], DECODER) == {}
    await save(
        tx,
        WriteSet(streams(1, first=1)),
        idempotency=IdempotencyRecord("0461", ACTOR, bytes(32), b"print", "{}"),
    )


async def test_what_goes_beside_is_saved_with_the_streams_or_not_at_all(tx: Session) -> None:
    """A statement of the service's own is one with the save, at any size, and undone where that is."""
    await tx.execute("create table lengths (stream_id uuid primary key, length integer)")
    saved = 0
    for size in (1, 100, 2000, 1):
        rows = streams(size, first=saved)
        saved += size
        assert len(await save(tx, written(rows, lengths(rows)))) == size
        assert await tx.fetchval("select count(*) from lengths where length = 1") == saved
    rows = streams(2)
    mine, others = await again(tx, rows), await again(tx, rows)
    await save(tx, WriteSet([append(others[1], 1)]))
    for row in mine:
        append(row, 4)

    with pytest.raises(asyncpg.SerializationError):
        await save(tx, written(mine, lengths(mine)))

    assert await tx.fetchval("select count(*) from lengths where length = 1") == saved
    with pytest.raises(asyncpg.UniqueViolationError):
        await save(
            tx,
            written(streams(1, first=saved), (_LENGTHS.partition(" on ")[0], [[case_id(0)], [1]])),
        )
    assert await load_streams(tx, [(TENANT, case_id(saved))], DECODER) == {}


async def test_streams_are_locked_before_the_rows_of_a_projection(tx: Session, postgres_dsn: str) -> None:
    """Who waits for a stream holds no row of the service's own tables, however these are written."""
    await tx.execute("create table lengths (stream_id uuid primary key, length integer)")
    rows = streams(1)
    await save(tx, written(rows, lengths(rows)))
    (mine,) = await again(tx, rows)
    async with other_connection(postgres_dsn) as holder, other_connection(postgres_dsn) as waiting:
        async with holder.transaction():
            await holder.execute("select from streams where stream_id = $1 for update", mine.stream_id)
            projection = lengths([append(mine, 1)])
            task = asyncio.create_task(save(waiting, written([mine], projection)))
            await until(lambda: so_many_wait(tx, 1))
            await tx.execute("select from lengths for update nowait")
        await task

    assert await tx.fetchval("select length from lengths") == 2


_LENGTHS = (
    "insert into lengths select * from unnest($1::uuid[], $2::integer[]) "
    "on conflict (stream_id) do update set length = excluded.length"
)


def lengths(streams: Sequence[LoadedStream]) -> Write:
    """Return what writes how long streams are."""
    return _LENGTHS, [[row.stream_id for row in streams], [row.seq for row in streams]]


async def test_batches_in_opposite_order_do_not_block_each_other(tx: Session, postgres_dsn: str) -> None:
    """Whoever saves the same streams takes them in the same order, however the batch named them."""
    rows = streams(2)
    await save(tx, WriteSet(rows))
    one, two = [await again(tx, rows) for _ in range(2)]
    async with (
        other_connection(postgres_dsn) as holder,
        other_connection(postgres_dsn) as first,
        other_connection(postgres_dsn) as second,
    ):
        held = holder.transaction()
        await held.start()
        await holder.execute("select from streams where stream_id = $1 for update", one[0].stream_id)
        forth = asyncio.create_task(save(first, WriteSet([append(row, 1) for row in one])))
        await until(lambda: so_many_wait(tx, 1))
        back = asyncio.create_task(save(second, WriteSet([append(row, 1) for row in reversed(two)])))
        await until(lambda: so_many_wait(tx, 2))
        await held.rollback()
        outcomes = await asyncio.gather(forth, back, return_exceptions=True)

    assert [type(outcome).__name__ for outcome in outcomes] == ["list", "SerializationError"]


@asynccontextmanager
async def other_connection(dsn: str) -> AsyncIterator[Session]:
    """Lend a connection of another process."""
    session = await connect(dsn, schema="consent")
    try:
        yield session
    finally:
        await session.close()


async def so_many_wait(tx: Session, count: int) -> bool:
    """Return whether so many connections wait for a lock."""
    found: int = await tx.fetchval(
        "select count(*) from pg_stat_activity "
        "where wait_event_type = 'Lock' and datname = current_database()"
    )
    return found == count


def count(n: int, k: int, word: str = "") -> Envelope:
    """Return the command to count once more in the n-th stream."""
    cause = str(new_id())
    command = Count(uuid5(NAMESPACE_URL, f"{n} {k}"), word)
    return Envelope(case_id(n), TENANT, command, Actor(ACTOR, "caseworker", TENANT), START, cause, cause)


async def test_writers_on_one_stream_lose_nothing(postgres_dsn: str) -> None:
    """Eight at once count on one stream: every count is there, and the log has no gap and no reversal."""
    async with running(postgres_dsn, "", "none") as runtime:

        async def write(n: int) -> None:
            for k in range(10):
                async with runtime.pool.acquire() as tx:
                    await patiently(runtime.processor, tx, count(0, 10 * n + k))

        await asyncio.gather(*(write(n) for n in range(8)))
        async with runtime.pool.acquire() as tx:
            rows = await tx.fetch("select seq from event_log order by id")
            state = msgspec.json.decode(await tx.fetchval("select state from streams"))

    assert [row["seq"] for row in rows] == list(range(1, 81))
    assert len(set(state["seen"])) == 80


async def patiently(processor: BatchProcessor, tx: Any, envelope: Envelope) -> BatchResult:
    """Apply a command, again where it met too many others."""
    while True:
        try:
            return await processor.process(tx, [envelope])
        except asyncpg.SerializationError:
            continue


class Overtaken(FileKeyStore):
    """A key store during whose first answer another process is faster."""

    def __init__(self, file: Path) -> None:
        super().__init__(file, mode="test")
        self.meanwhile: Any = None

    async def wrap(self, tenant: str, key: bytes, *, about: str) -> bytes:
        """Let the other go first."""
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        return await super().wrap(tenant, key, about=about)


async def test_a_data_key_that_another_process_made_meanwhile_is_used(
    postgres_dsn: str, tmp_path: Path
) -> None:
    """Two processes seal for one person at once: the second takes the first's key, and both texts open."""
    key_store = Overtaken(tmp_path / "kek")
    async with (
        running(postgres_dsn, "", "none", key_store=key_store) as one,
        running(postgres_dsn, "", "none", key_store=key_store) as two,
    ):

        async def other_goes_first() -> None:
            async with two.pool.acquire() as tx:
                await two.processor.process(tx, [count(2, 1, "second")])

        key_store.meanwhile = other_goes_first
        async with one.pool.acquire() as tx:
            await one.processor.process(tx, [count(1, 1, "first")])
            keys = await tx.fetchval("select count(*) from data_keys")
            reader = Keyring("consent", key_store)
            opened = await reader.open_streams(tx, [(TENANT, case_id(n)) for n in (1, 2)])

    assert keys == 1
    assert opened == {(TENANT, case_id(1)): {"word": "first"}, (TENANT, case_id(2)): {"word": "second"}}


async def test_a_foreign_data_key_undoes_the_batch(tx: Session) -> None:
    """The statement itself refuses a text that was sealed under a key that is not the stored one."""
    (row,) = streams(1)
    await save(tx, WriteSet([row]), new_keys=[NewKey(ACTOR, TENANT, b"theirs")])
    (row,) = await again(tx, [row])

    with pytest.raises(asyncpg.SerializationError):
        await save(
            tx,
            WriteSet([append(row, 1)]),
            sealed=[SealedRow(row.id_text, str(ACTOR), "word", TENANT, b"ours", key_is_new=True)],
            new_keys=[NewKey(ACTOR, TENANT, b"ours")],
        )

    assert await tx.fetchval("select wrapped from data_keys") == b"theirs"
    assert await tx.fetchval("select count(*) from sealed") == 0


async def test_several_projection_statements_are_part_of_a_requests_transaction(postgres_dsn: str) -> None:
    """They are committed with the streams, or rolled back with them, by the transaction of the request."""
    async with running(postgres_dsn, "", "none", TALLY) as runtime:
        await alter(runtime, "create table made (id uuid primary key)", "grant all on made to public")
        for n, fault in enumerate((None, ZeroDivisionError())):
            stream = append(new_stream(case_id(n), TENANT), 1)
            write_set = written([stream], ("insert into made select unnest($1::uuid[])", [[case_id(n)]]))
            write_set.projection_writes.append(("delete from made where false", []))
            with suppress(ZeroDivisionError):
                async with tenant_transaction(runtime.api_pool, TENANT) as tx:
                    await save(tx, write_set)
                    if fault:
                        raise fault
        kept = await runtime.pool.fetch("select stream_id from streams")
        rows = await runtime.pool.fetch("select id from made")

    assert [row["stream_id"] for row in kept] == [row["id"] for row in rows] == [case_id(0)]
