"""Old days of the log go as whole partitions, and never while anybody may still need them."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from services.kernel.outbox.republish import republish
from services.kernel.postgres.connections import Session, connect
from services.kernel.postgres.migrations import migrate
from tests.tally import TALLY, case_id
from tests.waiting import until

A_DAY = """
do $$
declare day date := current_date - {age};
begin
  execute format('create table %I partition of event_log for values from (%L) to (%L)',
                 'event_log_' || to_char(day, 'YYYYMMDD'), day, day + 1);
end
$$
"""
AN_EVENT = """
insert into event_log (created_on, stream_id, seq, event_id, tenant, type, meta, data)
values (current_date - $1::integer, $2, 1, $2, '0440', 'consent.given.v1', '["2026-01-05T07:00:00Z"]', '{}')
"""
DROP = "select drop_event_log_partitions(current_date - $1::integer)"
AGES = "select array_agg(current_date - created_on order by created_on) from event_log"


@pytest.fixture
async def tx(postgres_dsn: str) -> AsyncIterator[Session]:
    """Lend a connection to a tally whose log holds events that are 100, 99, 60, 20 and no days old."""
    await migrate(postgres_dsn, TALLY)
    session = await connect(postgres_dsn, schema="consent")
    for n, age in enumerate((100, 99, 60, 20)):
        await session.execute(A_DAY.format(age=age))
        await session.execute(AN_EVENT, age, case_id(n))
    await session.execute(AN_EVENT, 0, case_id(9))
    yield session
    await session.close()


async def test_days_past_keeping_are_dropped(tx: Session) -> None:
    """Those before a day, and no other."""
    assert await tx.fetchval(DROP, 70) == 2

    assert await tx.fetchval(AGES) == [60, 20, 0]
    assert await tx.fetchval(DROP, 70) == 0


async def test_a_month_is_always_kept(tx: Session) -> None:
    """A longer limit is not granted."""
    assert await tx.fetchval(DROP, -1) == 3

    assert await tx.fetchval(AGES) == [20, 0]


async def test_what_is_still_to_be_sent_is_kept(tx: Session) -> None:
    """A day with an event that is queued stays, and so do the days after it."""
    await republish(tx, stream_id=case_id(1))

    assert await tx.fetchval(DROP, 50) == 1
    assert await tx.fetchval(AGES) == [99, 60, 20, 0]

    await tx.execute("delete from pending")
    assert await tx.fetchval(DROP, 50) == 2


async def test_what_is_being_queued_meanwhile_is_kept(postgres_dsn: str, tx: Session) -> None:
    """Who drops waits for who queues, and then sees what was queued."""
    other = await connect(postgres_dsn, schema="consent")
    try:
        queueing = other.transaction()
        await queueing.start()
        await republish(other, stream_id=case_id(0))
        dropping = asyncio.create_task(tx.fetchval(DROP, 50))
        await until(lambda: waits_for_a_lock(other))
        await queueing.commit()

        assert await dropping == 0
    finally:
        await other.close()


async def test_who_holds_the_log_is_not_waited_for_long(postgres_dsn: str, tx: Session) -> None:
    """Writers must not queue up behind a drop that waits; it is tried again another time."""
    other = await connect(postgres_dsn, schema="consent")
    try:
        reading = other.transaction()
        await reading.start()
        await other.fetch("select 1 from event_log")
        with pytest.raises(asyncpg.LockNotAvailableError):
            await tx.fetchval(DROP, 50)
        await reading.rollback()

        assert await tx.fetchval(DROP, 50) == 3
    finally:
        await other.close()


async def waits_for_a_lock(session: Session) -> bool:
    """Return whether anybody waits for a lock on this database."""
    found: bool = await session.fetchval(
        "select exists (select from pg_stat_activity "
        "where wait_event_type = 'Lock' and datname = current_database())"
    )
    return found
