"""A batch is worked in two halves: where one cannot be saved the other is done, once and at once."""

import asyncpg

from services.kernel import metrics
from services.kernel.kafka.partitioner import partition_of
from services.kernel.kafka.topics import make_topics
from services.kernel.postgres.migrations import migrate
from services.kernel.runtime.runtime import Runtime
from tests.tally import TALLY, a_message, case_id, publish, running, seen, settings_for, tallies
from tests.waiting import until

PARTITIONS, CASES, EACH = 4, 30, 5
ODD = {case_id(n) for n in range(CASES) if partition_of(str(case_id(n)).encode(), PARTITIONS) & 1}
EVEN = {case_id(n) for n in range(CASES)} - ODD
ALL_SEEN = [str(seen(k).referral_id) for k in range(1, EACH + 1)]
REFUSE = """
create function consent.refuse() returns trigger language plpgsql as $$
begin
  if new.stream_id = any('{%s}'::uuid[]) then raise exception 'not now' using errcode = '57P03'; end if;
  return new;
end $$;
create trigger refuse before insert or update on consent.streams
for each row execute function consent.refuse();
"""


async def a_full_topic(dsn: str, bootstrap: str, kind: str) -> None:
    """Let a load lie on the topic before it is consumed, so that both halves are in the first batch."""
    await migrate(dsn, TALLY)
    await make_topics(["referral", "consent"], settings_for(dsn, bootstrap, kind))
    await publish(
        bootstrap, [a_message(case_id(n), k, seen(k)) for k in range(1, EACH + 1) for n in range(CASES)]
    )


async def complains(runtime: Runtime, times: int) -> bool:
    """Return whether so many tries have failed."""
    return runtime.consumer is not None and runtime.consumer.failures >= times


def duplicates() -> float:
    """Return how many events the tally has recognised as duplicates."""
    found: float = metrics.CONSUMED.labels("consent", "duplicate")._value.get()
    return found


async def test_only_the_half_that_failed_is_tried_again(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """While the database refuses one half's streams the other half is taken, and not taken again."""
    await a_full_topic(postgres_dsn, bootstrap, broker_kind)
    stranger = await asyncpg.connect(postgres_dsn)
    await stranger.execute(REFUSE % ",".join(map(str, ODD)))
    before = duplicates()
    async with running(postgres_dsn, bootstrap, broker_kind) as runtime:
        await until(lambda: complains(runtime, 4))
        held = await tallies(runtime)
        assert runtime.consumer is not None
        kept = dict(runtime.consumer.consumed)
        await stranger.execute("drop trigger refuse on consent.streams")
        await until(lambda: all_counted(runtime))
        found = await tallies(runtime)
        again = duplicates() - before
        sent = await stranger.fetch("select stream_id, count(*) from consent.event_log group by stream_id")
    await stranger.close()

    assert held == dict.fromkeys(EVEN, ALL_SEEN)
    assert kept == {}
    assert found == dict.fromkeys(ODD | EVEN, ALL_SEEN)
    assert again == 0
    assert {tuple(row) for row in sent} == {(stream_id, EACH) for stream_id in ODD | EVEN}


async def all_counted(runtime: Runtime) -> bool:
    """Return whether everything was consumed."""
    return sum(map(len, (await tallies(runtime)).values())) >= CASES * EACH
