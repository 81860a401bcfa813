"""A service's log is kept until every subscriber has consumed it, however old it is."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from services.kernel.decider.decision import Actor
from services.kernel.ids import new_id
from services.kernel.outbox.republish import republish
from services.kernel.postgres.connections import connect
from services.kernel.runtime.runtime import Runtime
from services.kernel.streams.envelopes import Envelope
from tests.old_events import commit_all_offsets, nothing_pending
from tests.tally import ACTOR, START, TALLY, TENANT, Count, case_id, running
from tests.waiting import until

SPOKEN = replace(TALLY, subscribers=frozenset({"agreement"}))
AGE_ALL = """
do $$
begin
  create table event_log_20250101 partition of event_log for values from ('2025-01-01') to ('2025-01-02');
  update event_log set created_on = '2025-01-01';
end
$$
"""


@asynccontextmanager
async def a_log(dsn: str, bootstrap: str, kind: str) -> AsyncIterator[Runtime]:
    """Run a tally that keeps its log for 90 days and has sent an event long ago."""
    async with running(dsn, bootstrap, kind, SPOKEN, log_days=90) as runtime:
        cause = str(new_id())
        actor = Actor(ACTOR, "caseworker", TENANT)
        envelope = Envelope(case_id(1), TENANT, Count(case_id(2)), actor, START, cause, cause)
        async with runtime.pool.acquire() as tx:
            await runtime.processor.process(tx, [envelope])
        await until(lambda: nothing_pending(runtime))
        owner = await connect(dsn, schema="consent")
        await owner.execute(AGE_ALL)
        await owner.close()
        yield runtime


async def logged(runtime: Runtime) -> int:
    """Return how many events the log holds."""
    count: int = await runtime.pool.fetchval("select count(*) from event_log")
    return count


@pytest.mark.parametrize("broker_kind", [pytest.param("kafka", marks=pytest.mark.kafka)])
async def test_days_that_a_subscriber_has_not_consumed_are_kept(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """The subscriber has been away for longer than the log is kept."""
    async with a_log(postgres_dsn, bootstrap, broker_kind) as runtime:
        assert [await runtime.log_retention.run_once() for _ in range(3)] == [0, 0, 0]

        assert await logged(runtime) == 1


@pytest.mark.parametrize("broker_kind", [pytest.param("kafka", marks=pytest.mark.kafka)])
async def test_days_that_all_subscribers_have_consumed_are_dropped(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """The first run remembers the end offsets, the second finds that all have committed them."""
    async with a_log(postgres_dsn, bootstrap, broker_kind) as runtime:
        await runtime.log_retention.run_once()
        await commit_all_offsets("agreement", "consent", 4, bootstrap_servers=bootstrap)

        assert await runtime.log_retention.run_once() == 1
        assert await logged(runtime) == 0


@pytest.mark.parametrize("broker_kind", [pytest.param("kafka", marks=pytest.mark.kafka)])
async def test_republished_days_count_as_not_consumed(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """While old events are queued again the end offsets say nothing of them: the next run begins anew."""
    async with a_log(postgres_dsn, bootstrap, broker_kind) as runtime:
        await commit_all_offsets("agreement", "consent", 4, bootstrap_servers=bootstrap)
        await runtime.disconnect_broker()
        runtime.relay.is_leader = True
        async with runtime.pool.acquire() as tx:
            await republish(tx)

        assert [await runtime.log_retention.run_once() for _ in range(2)] == [0, 0]
        assert await logged(runtime) == 1
