"""Gauges of the database: they match its rows, and counting them stays cheap."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import asyncpg
import pytest

from services.kernel import metrics
from services.kernel.clock import wall_time
from services.kernel.decider.decision import Effect
from services.kernel.decider.service import EffectContext
from services.kernel.operations import doctor as examining
from services.kernel.postgres.timelines import acknowledge, latest
from services.kernel.runtime.runtime import Runtime
from tests.tally import START, TALLY, running
from tests.waiting import until

ROWS = {
    "pending": "insert into pending (first_id, tenant, ids, queued_at) "
    "select n, '0440', array[n, n + 1], now() - interval '90 s' from generate_series(1, $1::bigint) n",
    "parked": "insert into parked_events "
    "(tenant, topic, kafka_partition, kafka_offset, headers, reason, parked_at) "
    "select '', 't', 0, n, '[]', 'body', now() - interval '90 s' from generate_series(1, $1::bigint) n",
    "timers": "insert into timers (stream_id, kind, ref, tenant, due_at) "
    "select gen_random_uuid(), 'wake', gen_random_uuid(), '0440', $2::timestamptz "
    "from generate_series(1, $1::bigint)",
    "effects": "insert into effects (key, stream_id, tenant, kind, about, attempts, created_at) "
    "select gen_random_uuid(), gen_random_uuid(), '0440', 'mail', '{}', n % 2 + 1, now() - interval '90 s' "
    "from generate_series(1, $1::bigint) n",
}

LATER_TIMELINE = "insert into timelines values (7, $1, nextval('event_log_id'), 1772438400000)"


async def do_nothing(_effect: Effect, _context: EffectContext) -> None:
    """Do nothing."""


def value(name: str, **labels: str) -> float:
    """Return what a metric of the tally says now; nothing is not an answer."""
    found = metrics.REGISTRY_OF_ALL.get_sample_value(f"samspil_{name}", {"service": "consent", **labels})
    assert found is not None, name
    return found


@asynccontextmanager
async def holding(dsn: str, count: int) -> AsyncIterator[Runtime]:
    """Run a service, its loops at rest, over so many rows of everything that waits."""
    service = replace(TALLY, effect_handlers={"mail": do_nothing})
    async with running(dsn, "", "embedded", service) as runtime:
        for name, statement in ROWS.items():
            due = (START,) if name == "timers" else ()
            await runtime.pool.execute(statement, count, *due)
        await runtime.gauges.refresh(START + timedelta(seconds=90))
        yield runtime


async def test_a_later_timeline_is_counted_until_it_is_acknowledged(postgres_dsn: str) -> None:
    """The first timeline follows none; each later one counts, and one that begins meanwhile still does."""
    counted: list[float] = []
    said: list[str] = []
    async with running(postgres_dsn, "", "embedded", TALLY) as runtime:
        for timeline in ("00000002", "00000003", ""):
            await runtime.gauges.refresh(START)
            counted.append(value("timelines_unacknowledged"))
            current = await latest(runtime.pool)
            if timeline:
                await runtime.pool.execute(LATER_TIMELINE, timeline)
        for first_id in (current - 1, current):
            await acknowledge(runtime.pool, first_id)
            await runtime.gauges.refresh(START)
            counted.append(value("timelines_unacknowledged"))
            said.append(await examining._database(TALLY, runtime.settings))

    assert counted == [0, 1, 2, 1, 0]
    assert said == ["it was restored or replaced: run `samspil lost consent`", ""]


async def test_what_waits_is_counted_with_its_age(postgres_dsn: str) -> None:
    """Each gauge counts by reason or kind, and has the age of the oldest beside it."""
    async with holding(postgres_dsn, 10):
        counted = {
            "pending": value("pending"),
            "parked": value("events_parked", reason="body"),
            "parked otherwise": value("events_parked", reason="gap"),
            "timers": value("timers_due"),
            "effects": value("effects_waiting", kind="mail"),
            "tried": value("effects_tried", kind="mail"),
        }
        ages = [
            value("pending_age_seconds"),
            value("parked_age_seconds"),
            value("timers_late_seconds"),
            value("effects_age_seconds", kind="mail"),
        ]

    assert counted == {
        "pending": 20,
        "parked": 10,
        "parked otherwise": 0,
        "timers": 10,
        "effects": 10,
        "tried": 5,
    }
    assert ages == [pytest.approx(90, abs=20)] * 4


async def test_a_flood_is_counted_up_to_a_bound(postgres_dsn: str) -> None:
    """However much waits, no more than ten thousand rows of each are read."""
    async with holding(postgres_dsn, 12_000):
        found = [
            value("events_parked", reason="body"),
            value("timers_due"),
            value("effects_waiting", kind="mail"),
        ]

    assert found == [10_000, 10_000, 10_000]


async def test_gauges_of_what_is_gone_are_zero(postgres_dsn: str) -> None:
    """A reason for which nothing waits any more goes back to nought, and its alert is resolved."""
    async with holding(postgres_dsn, 10) as runtime:
        await runtime.pool.execute("delete from parked_events")
        await runtime.pool.execute("update effects set done_at = now(), outcome = 'none'")
        await runtime.gauges.refresh(START)

        assert value("events_parked", reason="body") == value("parked_age_seconds") == 0
        assert value("effects_waiting", kind="mail") == value("effects_age_seconds", kind="mail") == 0


async def test_a_transaction_that_is_left_open_is_seen(postgres_dsn: str) -> None:
    """The age of an open transaction is exposed, and no longer once it is closed."""
    stranger = await asyncpg.connect(postgres_dsn)
    async with running(postgres_dsn, "", "embedded") as runtime:

        async def seen() -> bool:
            await runtime.gauges.refresh(START)
            return value("oldest_transaction_seconds") > 0.2

        async with stranger.transaction():
            await until(seen)
        await runtime.gauges.refresh(START)
        after = value("oldest_transaction_seconds")
    await stranger.close()

    assert after < 0.2


async def test_a_partition_without_a_watermark_ages_from_the_start(postgres_dsn: str) -> None:
    """A partition without a watermark is not fresh, however fresh the others are."""
    async with running(postgres_dsn, "", "embedded") as runtime:
        runtime.gauges._watermark_partitions = 2
        runtime.gauges._began = wall_time() - timedelta(seconds=300)
        await runtime.pool.execute("insert into consent_watermarks values ('consent', 0, now())")
        await runtime.gauges.refresh(START)
        one = value("consent_watermark_age_seconds")
        await runtime.pool.execute(
            "insert into consent_watermarks values ('consent', 1, now() - interval '30 s')"
        )
        await runtime.gauges.refresh(START)
        both = value("consent_watermark_age_seconds")

    assert one == pytest.approx(300, abs=20)
    assert both == pytest.approx(30, abs=20)
