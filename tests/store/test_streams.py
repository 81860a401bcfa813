"""A batch of any size is saved whole or not at all, in order, and beside another writer nothing is lost."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import asyncpg
import msgspec
import pytest
from msgspec import Struct

from contracts.consent import ConsentGiven
from services.kernel.decider.decision import Actor, Decision, Effect, Seal, Timer
from services.kernel.decider.service import Sent
from services.kernel.ids import new_id
from services.kernel.kafka.cloudevents import Meta, Told
from services.kernel.outbox.relay import from_log
from services.kernel.postgres.connections import Session, connect
from services.kernel.postgres.migrations import migrate
from services.kernel.privacy.encryption import Box, Keyring, NewKey
from services.kernel.privacy.key_store import FileKms
from services.kernel.streams.handler import Asked, Outcome
from services.kernel.streams.processor import Step
from services.kernel.streams.store import Key, Page, Row, Write, fresh, read, save
from tests.examples_poison import a_parked
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
COUNTS = " union all ".join(f"select count(*) from {table}" for table in (*TABLES, "command_keys"))  # noqa: S608  names from above


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


def tell(row: Row, count: int, *, trace: str = "") -> Row:
    """Let a stream go on with so many events."""
    meta = Meta(START, str(ACTOR), "caseworker", str(new_id()), str(new_id()), trace)
    told = []
    for _ in range(count):
        row.seq += 1
        told.append(Sent(new_id(), "consent", row.seq, ConsentGiven.type, body_of(row.seq), meta))
    row.take(Decision(Sheet(row.seq)), told)
    return row


def streams(count: int, *, events: int = 1, first: int = 0) -> list[Row]:
    """Return new streams, each with so many events."""
    return [tell(fresh(case_id(n), TENANT), events) for n in range(first, first + count)]


async def again(tx: Session, rows: Sequence[Row]) -> list[Row]:
    """Return the same streams as they stand now."""
    found = await read(tx, [row.stream_id for row in rows], DECODER)
    return [found[row.stream_id] for row in rows]


async def counts(tx: Session) -> list[int]:
    """Return how many rows each table has."""
    return [row[0] for row in await tx.fetch(COUNTS)]


async def test_batches_of_any_size_go_through_one_statement(tx: Session) -> None:
    """One stream, a hundred or two thousand: one prepared statement saves them, another reads them."""
    saved = 0
    for size in (1, 100, 2000, 1):
        rows = streams(size, events=2, first=saved)
        saved += size
        messages = await save(tx, Page(rows))
        found = await again(tx, rows)

        assert len(messages) == 2 * size
        assert [(row.version, row.seq, row.state) for row in found] == [(1, 2, Sheet(2))] * size

    assert await counts(tx) == [saved, 2 * saved, 4, 0, 0, 0, 0, 0, 0]
    prepared = await tx.fetch("select statement from pg_prepared_statements where not from_sql")
    assert sum("insert into streams" in row["statement"] for row in prepared) == 1
    assert sum("join streams s" in row["statement"] for row in prepared) == 1


async def test_a_stream_that_is_not_there_is_not_read(tx: Session) -> None:
    """Nothing is made up."""
    assert await read(tx, [case_id(1)], DECODER) == {}
    assert await save(tx, Page()) == []


async def test_what_is_saved_is_read_again_to_the_letter(tx: Session) -> None:
    """Letters, signs that separate the columns on their way, marks and the flag come back as they were."""
    document = Sheet(text='æøå "\\" \x1d\x1e\x1f \t\n {} ,')
    row = fresh(case_id(1), TENANT)
    row.take(Decision(document), ())
    row.marks = {"referral": (7, str(case_id(2))), "evaluation": (1, str(case_id(3)))}
    row.parked = True
    empty = fresh(case_id(2), TENANT)
    empty.changed = True

    await save(tx, Page([row, empty]))
    one, two = await again(tx, [row, empty])

    assert (one.state, one.marks, one.parked) == (document, row.marks, True)
    assert (two.state, two.marks, two.parked, two.version) == (None, {}, False, 1)


async def test_a_stream_that_has_moved_undoes_everything(tx: Session, tmp_path: Path) -> None:
    """Where one of many streams was changed meanwhile nothing of the batch is saved, in no table."""
    rows = streams(3)
    await save(tx, Page(rows))
    mine, others = await again(tx, rows), await again(tx, rows)
    await save(tx, Page([tell(others[1], 1)]))
    before = await counts(tx)
    for row in mine:
        tell(row, 2)
    timers = (Timer("wake", case_id(1), LATER),)
    effects = (Effect(new_id(), "mail", {"to": "x"}),)
    mine[0].take(Decision(mine[0].state, timers=timers, effects=effects), ())
    keyring = Keyring("consent", FileKms(tmp_path / "kek", mode="test"))
    key, new_key = await keyring.make(TENANT, ACTOR)
    box = keyring.seal(key, TENANT, str(case_id(0)), Seal(ACTOR, "word", "private"))

    with pytest.raises(asyncpg.SerializationError):
        await save(
            tx,
            Page(mine),
            boxes=[box],
            new_keys=[new_key],
            parked=[a_parked(1)],
            key=Key(TENANT, ACTOR, "once", b"print", "{}"),
        )

    assert await counts(tx) == before
    assert [row.version for row in await again(tx, rows)] == [1, 2, 1]


async def test_a_stream_of_another_municipality_is_not_overwritten(tx: Session) -> None:
    """Even with the right version a stream cannot change hands."""
    (row,) = streams(1)
    await save(tx, Page([row]))
    (mine,) = await again(tx, [row])
    mine.tenant = "0461"

    with pytest.raises(asyncpg.SerializationError):
        await save(tx, Page([tell(mine, 1)]))

    (found,) = await again(tx, [row])
    assert (found.tenant, found.version) == (TENANT, 1)


async def test_a_new_stream_that_another_made_meanwhile_is_not_overwritten(tx: Session) -> None:
    """Two who begin the same stream: the second must read what the first wrote."""
    await save(tx, Page(streams(1)))

    with pytest.raises(asyncpg.SerializationError):
        await save(tx, Page(streams(1)))


async def test_the_log_counts_up_in_the_order_of_the_events(tx: Session) -> None:
    """Ids of the log ascend as the events were told, and each stream's sequence has no hole."""
    rows = streams(50, events=20)
    first = await save(tx, Page(rows))
    second = await save(tx, Page([tell(row, 20) for row in await again(tx, rows)]))

    logged = await tx.fetch("select id, stream_id, seq, event_id from event_log order by id")
    by_stream: dict[UUID, list[int]] = {}
    for row in logged:
        by_stream.setdefault(row["stream_id"], []).append(row["seq"])
    ids = [log_id for log_id, _ in (*first, *second)]
    assert ids == sorted(ids) == [row["id"] for row in logged]
    assert by_stream == {row.stream_id: list(range(1, 41)) for row in rows}
    assert [told.event_id for _, told in first] == [str(row["event_id"]) for row in logged[:1000]]


def header(told: Told, name: str) -> bytes:
    """Return one header of an event as it is sent."""
    return dict(told.message().headers)[name]


async def test_each_batch_is_one_row_to_send(tx: Session) -> None:
    """The relay finds the ids of a transaction together, and none for a batch without events."""
    await save(tx, Page(streams(3, events=2)))
    await save(tx, Page(streams(2, events=0, first=10)))

    rows = await tx.fetch("select first_id, ids from pending")
    assert [(row["first_id"], row["ids"]) for row in rows] == [(1, [1, 2, 3, 4, 5, 6])]


async def test_the_message_from_the_log_is_the_message_from_memory(tx: Session) -> None:
    """To the byte: whoever sends an event again sends the same event."""
    rows = [
        tell(fresh(case_id(1), TENANT), 3),
        tell(fresh(case_id(2), "0461"), 2, trace=TRACE),
        *streams(100, first=10),
    ]
    from_memory = await save(tx, Page(rows))

    logged = await tx.fetch(
        "select id, event_id, stream_id, seq, tenant, type, meta, data from event_log order by id"
    )
    assert [(row["id"], from_log(row).message()) for row in logged] == [
        (log_id, told.message()) for log_id, told in from_memory
    ]
    assert header(from_memory[4][1], "traceparent") == TRACE.encode()
    assert header(from_memory[1][1], "ce_sequence") == b"0000000002"


async def test_timers_are_set_replaced_and_taken_back(tx: Session) -> None:
    """The same kind and reference is the same timer; without a time it is gone; others stay."""
    one, two = Timer("wake", case_id(1), START), Timer("nudge", case_id(1), START)
    (row,) = streams(1)
    row.take(Decision(row.state, timers=(one, two)), ())
    await save(tx, Page([row]))
    assert await timers(tx) == {("wake", START), ("nudge", START)}

    (row,) = await again(tx, [row])
    row.take(Decision(row.state, timers=(Timer("wake", case_id(1), LATER),)), ())
    await save(tx, Page([row]))
    assert await timers(tx) == {("wake", LATER), ("nudge", START)}

    (row,) = await again(tx, [row])
    silent = (Timer("wake", case_id(1), None), Timer("never-set", case_id(1), None))
    row.take(Decision(row.state, timers=silent), ())
    await save(tx, Page([row]))
    assert await timers(tx) == {("nudge", START)}


async def timers(tx: Session) -> set[tuple[str, datetime]]:
    """Return what will fall due."""
    return {(row["kind"], row["due_at"]) for row in await tx.fetch("select kind, due_at from timers")}


async def test_within_a_batch_the_last_word_on_a_timer_counts(tx: Session) -> None:
    """Set, taken back and set anew by one batch, it is set once."""
    (row,) = streams(1)
    for due in (START, None, LATER):
        row.take(Decision(row.state, timers=(Timer("wake", case_id(1), due),)), ())

    await save(tx, Page([row]))

    assert await timers(tx) == {("wake", LATER)}


async def test_an_effect_is_asked_for_once_a_key(tx: Session) -> None:
    """The same key again is the same thing to do, and what it is about does not change."""
    key = new_id()
    for n in range(2):
        (row,) = streams(1) if n == 0 else await again(tx, streams(1))
        row.take(Decision(row.state or Sheet(), effects=(Effect(key, "mail", {"n": str(n)}),)), ())
        await save(tx, Page([row]))

    rows = await tx.fetch("select key, about from effects")
    assert [(row["key"], row["about"]) for row in rows] == [(key, '{"n":"0"}')]


async def test_an_event_is_parked_once(tx: Session) -> None:
    """However often it comes: by its place in its stream, or where it cannot be read, on its topic."""
    for place in (5, 6):
        await save(tx, Page(), parked=[a_parked(place, stream_id=case_id(1)), a_parked(9)])
    await save(tx, Page(), parked=[a_parked(10), a_parked(7, stream_id=case_id(1), seq=2)])

    rows = await tx.fetch("select place, seq from parked_events order by place")
    assert [(row["place"], row["seq"]) for row in rows] == [(5, 1), (7, 2), (9, None), (10, None)]


async def test_a_key_that_was_used_undoes_the_command(tx: Session) -> None:
    """The answer is stored with the deed, so a second deed under the same key is undone."""
    key = Key(TENANT, ACTOR, "once", b"print", '{"id": 1}')
    await save(tx, Page(streams(1)), key=key)

    with pytest.raises(asyncpg.UniqueViolationError):
        await save(tx, Page(streams(1, first=1)), key=key)

    assert await read(tx, [case_id(1)], DECODER) == {}
    await save(tx, Page(streams(1, first=1)), key=Key("0461", ACTOR, "once", b"print", "{}"))


async def test_what_goes_beside_is_saved_with_the_streams_or_not_at_all(tx: Session) -> None:
    """A statement of the service's own is one with the save, at any size, and undone where that is."""
    await tx.execute("create table lengths (stream_id uuid primary key, length integer)")
    saved = 0
    for size in (1, 100, 2000, 1):
        rows = streams(size, first=saved)
        saved += size
        assert len(await save(tx, Page(rows), beside=lengths(rows))) == size
        assert await tx.fetchval("select count(*) from lengths where length = 1") == saved
    rows = streams(2)
    mine, others = await again(tx, rows), await again(tx, rows)
    await save(tx, Page([tell(others[1], 1)]))
    for row in mine:
        tell(row, 4)

    with pytest.raises(asyncpg.SerializationError):
        await save(tx, Page(mine), beside=lengths(mine))

    assert await tx.fetchval("select count(*) from lengths where length = 1") == saved
    with pytest.raises(asyncpg.UniqueViolationError):
        await save(
            tx, Page(streams(1, first=saved)), beside=(_LENGTHS.partition(" on ")[0], [[case_id(0)], [1]])
        )
    assert await read(tx, [case_id(saved)], DECODER) == {}


async def test_streams_are_locked_before_what_goes_beside(tx: Session, postgres_dsn: str) -> None:
    """Who waits for a stream holds no row of the service's own tables, however these are written."""
    await tx.execute("create table lengths (stream_id uuid primary key, length integer)")
    rows = streams(1)
    await save(tx, Page(rows), beside=lengths(rows))
    (mine,) = await again(tx, rows)
    async with other_connection(postgres_dsn) as holder, other_connection(postgres_dsn) as waiting:
        async with holder.transaction():
            await holder.execute("select from streams where stream_id = $1 for update", mine.stream_id)
            beside = lengths([tell(mine, 1)])
            task = asyncio.create_task(save(waiting, Page([mine]), beside=beside))
            await until(lambda: so_many_wait(tx, 1))
            await tx.execute("select from lengths for update nowait")
        await task

    assert await tx.fetchval("select length from lengths") == 2


_LENGTHS = (
    "insert into lengths select * from unnest($1::uuid[], $2::integer[]) "
    "on conflict (stream_id) do update set length = excluded.length"
)


def lengths(rows: Sequence[Row]) -> Write:
    """Return what writes how long streams are."""
    return _LENGTHS, [[row.stream_id for row in rows], [row.seq for row in rows]]


async def test_batches_in_opposite_order_do_not_block_each_other(tx: Session, postgres_dsn: str) -> None:
    """Whoever saves the same streams takes them in the same order, however the batch named them."""
    rows = streams(2)
    await save(tx, Page(rows))
    one, two = [await again(tx, rows) for _ in range(2)]
    async with (
        other_connection(postgres_dsn) as holder,
        other_connection(postgres_dsn) as first,
        other_connection(postgres_dsn) as second,
    ):
        held = holder.transaction()
        await held.start()
        await holder.execute("select from streams where stream_id = $1 for update", one[0].stream_id)
        forth = asyncio.create_task(save(first, Page([tell(row, 1) for row in one])))
        await until(lambda: so_many_wait(tx, 1))
        back = asyncio.create_task(save(second, Page([tell(row, 1) for row in reversed(two)])))
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


def count(n: int, k: int, word: str = "") -> Asked:
    """Return the command to count once more in the n-th stream."""
    cause = str(new_id())
    command = Count(uuid5(NAMESPACE_URL, f"{n} {k}"), word)
    return Asked(case_id(n), TENANT, command, Actor(ACTOR, "caseworker", TENANT), START, cause, cause)


async def test_writers_on_one_stream_lose_nothing(postgres_dsn: str) -> None:
    """Eight at once count on one stream: every count is there, and the log has no hole and no turn."""
    async with running(postgres_dsn, "", "none") as runtime:

        async def write(n: int) -> None:
            for k in range(10):
                async with runtime.pool.acquire() as tx:
                    await patiently(runtime.step, tx, count(0, 10 * n + k))

        await asyncio.gather(*(write(n) for n in range(8)))
        async with runtime.pool.acquire() as tx:
            rows = await tx.fetch("select seq from event_log order by id")
            state = msgspec.json.decode(await tx.fetchval("select state from streams"))

    assert [row["seq"] for row in rows] == list(range(1, 81))
    assert len(set(state["seen"])) == 80


async def patiently(step: Step, tx: Any, asked: Asked) -> Outcome:
    """Apply a command, again where it met too many others."""
    while True:
        try:
            return await step.apply(tx, [asked])
        except asyncpg.SerializationError:
            continue


class Overtaken(FileKms):
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
    kms = Overtaken(tmp_path / "kek")
    async with (
        running(postgres_dsn, "", "none", kms=kms) as one,
        running(postgres_dsn, "", "none", kms=kms) as two,
    ):

        async def other_goes_first() -> None:
            async with two.pool.acquire() as tx:
                await two.step.apply(tx, [count(2, 1, "second")])

        kms.meanwhile = other_goes_first
        async with one.pool.acquire() as tx:
            await one.step.apply(tx, [count(1, 1, "first")])
            keys = await tx.fetchval("select count(*) from data_keys")
            reader = Keyring("consent", kms)
            opened = await reader.open_streams(tx, [case_id(1), case_id(2)])

    assert keys == 1
    assert opened == {case_id(1): {"word": "first"}, case_id(2): {"word": "second"}}


async def test_a_foreign_data_key_undoes_the_batch(tx: Session) -> None:
    """The statement itself refuses a text that was sealed under a key that is not the stored one."""
    (row,) = streams(1)
    await save(tx, Page([row]), new_keys=[NewKey(ACTOR, TENANT, b"theirs")])
    (row,) = await again(tx, [row])

    with pytest.raises(asyncpg.SerializationError):
        await save(
            tx,
            Page([tell(row, 1)]),
            boxes=[Box(row.key, str(ACTOR), "word", TENANT, b"ours")],
            new_keys=[NewKey(ACTOR, TENANT, b"ours")],
        )

    assert await tx.fetchval("select wrapped from data_keys") == b"theirs"
    assert await tx.fetchval("select count(*) from sealed") == 0
