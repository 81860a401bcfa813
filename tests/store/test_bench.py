"""What benchmarks do to a database is what they say."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from bench.load import InvalidRunError
from bench.snapshot import churn, read_pending
from bench.stock import fill
from services.kernel.consumer.decoding import EventDecoder
from services.kernel.decider.decision import Actor
from services.kernel.ids import new_id
from services.kernel.outbox.pending import from_log
from services.kernel.postgres.connections import Session, connect
from services.kernel.postgres.migrations import migrate
from services.kernel.runtime.runtime import Runtime
from services.kernel.streams.envelopes import Envelope
from tests.fault.chain import CHAIN, Count
from tests.tally import ACTOR, START, TALLY, TENANT, a_record, case_id, running

LOGGED = "select id, event_id, stream_id, seq, tenant, type, meta, data from event_log order by id"
WHOLE = """
select (select count(*) from streams), count(*), count(distinct event_id),
       count(*) filter (where seq > 1 and not exists (
         select from event_log as e where e.stream_id = event_log.stream_id and e.seq = event_log.seq - 1
       )),
       count(distinct created_on)
from event_log
"""
STRANGERS = """
select count(*) from consent.streams as s
where not exists (
  select from referral.event_log as e
  where e.stream_id = s.stream_id and e.seq = (s.marks -> 'referral' ->> 0)::bigint
    and e.event_id::text = split_part(s.marks -> 'referral' ->> 1, ' ', 1)
)
"""


@pytest.fixture
async def relay(postgres_dsn: str) -> AsyncIterator[Session]:
    """Lend a session such as a relay has."""
    await migrate(postgres_dsn, TALLY)
    session = await connect(postgres_dsn, schema="consent")
    yield session
    await session.close()


async def test_all_events_of_a_round_pass(postgres_dsn: str, relay: Session) -> None:
    """However they fall into rounds: each leaves one dead row while somebody holds a snapshot."""
    stranger = await asyncpg.connect(postgres_dsn)
    held = stranger.transaction(isolation="repeatable_read")
    await held.start()
    await stranger.fetch("select 1 from consent.streams limit 1")
    for dead, events in ((7, 7), (52, 45)):
        await churn(relay, events)

        assert (await read_pending(relay)).dead == dead

    await held.rollback()
    await stranger.close()


async def test_a_read_of_what_is_not_at_rest_is_invalid(relay: Session) -> None:
    """While an event is pending, a read_pending would take longer for that reason."""
    await relay.execute("insert into pending (first_id, tenant, ids) values (1, '0440', '{1}')")

    with pytest.raises(InvalidRunError, match="1 events are pending"):
        await read_pending(relay)


async def test_nothing_cannot_be_copied(postgres_dsn: str, relay: Session) -> None:
    """An empty log is said to be one."""
    assert not relay.is_closed()

    with pytest.raises(InvalidRunError, match="empty log"):
        await fill(postgres_dsn, ["consent"], 100)


async def test_a_copied_past_is_as_whole_as_the_true_one(postgres_dsn: str) -> None:
    """Streams, events and marks are copied under ids that fit each other, over so many days."""
    async with (
        running(postgres_dsn, "", "none", CHAIN["referral"]) as source,
        running(postgres_dsn, "", "none", CHAIN["consent"]) as reader,
    ):
        await live(source, reader)
        counts = [await fill(postgres_dsn, ["referral", "consent"], events, days=3) for events in (1, 120, 1)]
        pending = await source.pool.fetchval("select count(*) from pending")
        found = [await pool.fetchrow(WHOLE) for pool in (source.pool, reader.pool)]
    superuser = await connect(postgres_dsn, schema="consent")
    strangers = await superuser.fetchval(STRANGERS)
    await superuser.close()

    assert counts == [12, 120, 120]
    assert found == [(20, 60, 60, 0, 3)] * 2
    assert strangers == 0
    assert pending == 6


async def live(source: Runtime, reader: Runtime) -> None:
    """Count three times in each of two cases, and let the reader consume it."""
    actor = Actor(ACTOR, "caseworker", TENANT)
    for n in (1, 2) * 3:
        cause = str(new_id())
        envelope = Envelope(case_id(n), TENANT, Count(new_id()), actor, START, cause, cause)
        async with source.pool.acquire() as tx:
            await source.processor.process(tx, [envelope])
    records = [a_record(from_log(row).message()) for row in await source.pool.fetch(LOGGED)]
    events = EventDecoder(reader.service).read(records).events
    async with reader.pool.acquire() as tx:
        await reader.processor.process(tx, events)
