"""What the log holds is queued again: all of it, or the last of it, whatever lies before."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from services.kernel.outbox import republish as resending
from services.kernel.outbox.republish import republish
from services.kernel.postgres.connections import Session, connect
from services.kernel.postgres.migrations import migrate
from tests.tally import TALLY

EVENTS = """
insert into event_log (created_on, stream_id, seq, event_id, tenant, type, meta, data)
select current_date - $1::integer, gen_random_uuid(), 1, gen_random_uuid(), '0440', 'consent.given.v1',
       '["2026-01-05T07:00:00Z"]', '{}' from generate_series(1, $2)
"""
A_GAP = "select nextval('event_log_id') from generate_series(1, 50)"
LAST = "select array_agg(id order by id) from (select id from event_log order by id desc limit $1) as last"
QUEUED = "select array_agg(id order by id) from pending, unnest(ids) as id"


@pytest.fixture
async def tx(postgres_dsn: str) -> AsyncIterator[Session]:
    """Lend a connection to a tally whose log holds many events of yesterday and a few of today."""
    await migrate(postgres_dsn, TALLY)
    session = await connect(postgres_dsn, schema="consent")
    await session.execute(EVENTS, 1, 30_000)
    await session.execute(EVENTS, 0, 20)
    await session.execute(A_GAP)  # numbers that conflicts have used up
    await session.execute(EVENTS, 0, 20)
    yield session
    await session.close()


async def pages_read(tx: Session, latest: int | None) -> int:
    """Return how many pages the database reads to queue the latest events."""
    statement = f"explain (analyze, buffers, format json) {resending._REQUEUE}"
    explained = await tx.fetchval(statement, None, None, None, 1, None, latest, None)
    plan = msgspec.json.decode(explained)[0]["Plan"]
    pages: int = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    return pages


@pytest.mark.parametrize("latest", [1, 30, 40, 100])
async def test_the_last_events_are_queued_and_no_others(tx: Session, latest: int) -> None:
    """Exactly the limit, whatever numbers between them were never used, and over the day's end."""
    count = await republish(tx, latest=latest)
    queued = await tx.fetchval(QUEUED)

    assert count == latest
    assert queued == await tx.fetchval(LAST, latest)


async def test_all_is_queued_where_there_is_less_than_the_limit(tx: Session) -> None:
    """A log may be shorter than that; one without events queues nothing."""
    more = await republish(tx, latest=50_000)
    await tx.execute("truncate pending, event_log")
    nothing = await republish(tx, latest=10)

    assert (more, nothing) == (30_040, 0)


async def test_the_last_events_are_found_without_reading_the_log(tx: Session) -> None:
    """However long it has become: who waits for a broker to be renewed does not wait for its past."""
    few, all_of_it = await pages_read(tx, 30), await pages_read(tx, None)

    assert few * 3 < all_of_it
