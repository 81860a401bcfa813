"""A version on which every event fails stops, says so everywhere, and loses nothing."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import asyncpg
import pytest

from services.kernel.decider.service import Service
from services.kernel.http.application import mount
from services.kernel.http.authentication import TokenVerifier
from services.kernel.http.server import app_of, listening_socket, serve
from services.kernel.operations import parked_events as operating
from services.kernel.runtime.runtime import Runtime
from tests.command_line import samspil
from tests.tally import TALLY, TENANT, a_message, case_id, publish, running, seen, tallies
from tests.waiting import until

STREAMS, EACH, LIMIT = 60, 5, 20
EXPECTED = {case_id(n): [str(seen(k).referral_id) for k in range(1, EACH + 1)] for n in range(STREAMS)}


def _breaks(_state: Any, _trigger: Any, _context: Any) -> Any:
    raise ZeroDivisionError


BAD_VERSION = replace(TALLY, decide=_breaks)


@asynccontextmanager
async def deployed(
    service: Service, dsn: str, bootstrap: str, kind: str, **more: Any
) -> AsyncIterator[tuple[Runtime, str]]:
    """Run a version of the tally behind a port, as `samspil run` does, and yield its address."""
    stopping, socket = asyncio.Event(), listening_socket("127.0.0.1", 0)
    async with running(dsn, bootstrap, kind, service, **more) as runtime:
        app = app_of([service])
        mount(app, {service.name: runtime}, TokenVerifier([], "samspil"))
        serving = asyncio.create_task(serve(app, socket, runtime.settings, stopping=stopping))
        try:
            yield runtime, f"http://127.0.0.1:{socket.getsockname()[1]}"
        finally:
            stopping.set()
            await serving


async def said(url: str) -> tuple[int, str]:
    """Return how a server answers; 0 while it does not."""
    try:
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return answer.status, await answer.text()
    except aiohttp.ClientConnectorError:
        return 0, ""


async def test_a_bad_version_stops_says_so_and_loses_nothing(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """Readiness, metric and doctor show it; the repaired version applies everything, in order."""
    load = [a_message(case_id(n), k, seen(k)) for k in range(1, EACH + 1) for n in range(STREAMS)]
    async with deployed(BAD_VERSION, postgres_dsn, bootstrap, broker_kind, parked_limit=LIMIT) as (bad, url):
        await publish(bootstrap, load[:10])
        await until(lambda: _parked(bad, 10))
        await publish(bootstrap, load[10:])

        async def red() -> bool:
            return "too-many-parked" in (await said(f"{url}/ready"))[1]

        await until(red)
        status, _ = await said(f"{url}/ready")
        _, numbers = await said(f"{url}/metrics")
        doctor = await asyncio.to_thread(samspil, "doctor", "--url", url)
        poison = len(await operating.list_parked(bad, reason="bug"))
    async with deployed(TALLY, postgres_dsn, bootstrap, broker_kind, parked_limit=LIMIT) as (good, url):
        await until(lambda: _settled(good, STREAMS - 10))
        before_replay = await tallies(good)
        done = await operating.replay_parked(good)
        found = await tallies(good)
        await until(lambda: _ready(url))  # its relay may join later than its consumer
        _, reset = await said(f"{url}/metrics")

    assert status == 503
    assert 'samspil_consumer_stopped{service="consent"} 1.0' in numbers
    assert 'samspil_ready{service="consent"} 0.0' in numbers
    assert doctor.code == 1
    assert "consent consumer: stopped: too-many-parked: repair it or go back" in " ".join(doctor.out.split())
    assert 10 <= poison <= LIMIT
    assert {case_id(n): EXPECTED[case_id(n)] for n in range(10, STREAMS)} == before_replay
    assert done == {"streams": 10, "applied": 10 * EACH, "left": 0}
    assert found == EXPECTED
    assert 'samspil_consumer_stopped{service="consent"} 0.0' in reset


async def test_a_bad_version_stops_also_where_little_happens(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """Where events come so seldom that no minute holds many, so many failures without one success suffice."""
    async with running(
        postgres_dsn, bootstrap, broker_kind, BAD_VERSION, parked_limit=3, parked_seconds=0.001
    ) as bad:
        for n in range(3):
            await publish(bootstrap, [a_message(case_id(n), 1, seen(1))])
            await until(lambda n=n: _parked(bad, n + 1))  # type: ignore[misc]
        await publish(bootstrap, [a_message(case_id(3), 1, seen(1))])

        async def red() -> bool:
            return "stopped: too-many-parked" in (await bad.unready_reasons()).values()

        await until(red)
        assert len(await operating.list_parked(bad)) == 3


@pytest.mark.parametrize("broker_kind", ["embedded"])
async def test_occasional_failures_do_not_open_the_breaker(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """One poisoned stream after another, with events between that can be taken: each waits alone."""
    service = replace(TALLY, decide=_breaks_now_and_then)
    async with running(
        postgres_dsn, bootstrap, broker_kind, service, parked_limit=3, parked_seconds=0.001
    ) as runtime:
        for n in range(0, 12, 2):
            await publish(
                bootstrap, [a_message(case_id(n), 1, seen(0)), a_message(case_id(n + 1), 1, seen(1))]
            )
            await until(lambda n=n: _settled(runtime, n // 2 + 1))  # type: ignore[misc]
        await until(lambda: _parked(runtime, 6))
        await until(lambda: _well(runtime))  # its relay may join later than its consumer

        assert runtime.consumer is not None
        assert runtime.consumer.stopped_by is None


async def test_a_batch_that_is_tried_again_does_not_count_again(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """While the database is away one poisoned event stays one, however often its batch is repeated."""
    stranger = await asyncpg.connect(postgres_dsn)
    async with running(postgres_dsn, bootstrap, broker_kind, BAD_VERSION, parked_limit=3) as bad:
        await stranger.execute("alter table consent.parked_events rename to away")
        await publish(bootstrap, [a_message(case_id(0), 1, seen(1))])

        async def complains() -> bool:
            return bad.consumer is not None and (
                bad.consumer.failures >= 5 or bad.consumer.stopped_by is not None
            )

        await until(complains)
        await stranger.execute("alter table consent.away rename to parked_events")
        await until(lambda: _parked(bad, 1))
        stopped = bad.consumer.stopped_by if bad.consumer else "gone"
    await stranger.close()

    assert stopped is None


def _breaks_now_and_then(state: Any, trigger: Any, context: Any) -> Any:
    if trigger == seen(0):
        raise ZeroDivisionError
    return TALLY.decide(state, trigger, context)


async def _ready(url: str) -> bool:
    return (await said(f"{url}/ready"))[0] == 200


async def _well(runtime: Runtime) -> bool:
    return await runtime.unready_reasons() == {}


async def _parked(runtime: Runtime, count: int) -> bool:
    return len(await operating.list_parked(runtime)) == count


async def _settled(runtime: Runtime, streams: int) -> bool:
    """Return whether so many streams have counted, each all that was sent to it."""
    counts = [len(found) for found in (await tallies(runtime)).values()]
    return len(counts) == streams and min(counts) >= 1 and len(set(counts)) == 1


HOSTILE, FEW = "0461", 5


@pytest.mark.parametrize("broker_kind", ["embedded"])
async def test_finding_1_one_municipality_stops_nobody_else(
    postgres_dsn: str, bootstrap: str, broker_kind: str
) -> None:
    """Its events are held when too many fail; the others' are applied, and a replay applies the held ones."""
    service = replace(TALLY, decide=_breaks_for_one)
    load = [
        a_message(case_id(n), k, seen(k), tenant=tenant)
        for k in range(1, EACH + 1)
        for n in range(STREAMS)
        for tenant in (TENANT, HOSTILE)
    ]
    async with deployed(service, postgres_dsn, bootstrap, broker_kind, parked_limit=FEW) as (bad, url):
        await publish(bootstrap, [a_message(case_id(n), 1, seen(1)) for n in range(10)])
        await until(lambda: _settled(bad, 10))
        await publish(bootstrap, load)
        await until(lambda: _parked(bad, STREAMS * EACH))
        await until(lambda: _ready(url))
        others = await tallies(bad, tenant=TENANT)
        reasons = Counter(row["reason"] for row in await operating.list_parked(bad))
        tenants = {row["tenant"] for row in await operating.list_parked(bad)}
        await bad.gauges.refresh(bad.clock.now())
        _, numbers = await said(f"{url}/metrics")
    async with running(postgres_dsn, bootstrap, broker_kind, TALLY, parked_limit=FEW) as good:
        done = await operating.replay_parked(good, tenant=HOSTILE)
        found = await tallies(good, tenant=HOSTILE)

    assert others == EXPECTED
    assert tenants == {HOSTILE}
    assert reasons["held"] > 0
    assert reasons["bug"] <= FEW * bad.settings.partitions
    assert sum(reasons.values()) == STREAMS * EACH
    assert f'samspil_tenant_events_parked{{reason="held",service="consent",tenant="{HOSTILE}"}}' in numbers
    assert done == {"streams": STREAMS, "applied": STREAMS * EACH, "left": 0}
    assert found == EXPECTED


def _breaks_for_one(state: Any, trigger: Any, context: Any) -> Any:
    if context.tenant == HOSTILE:
        raise ZeroDivisionError
    return TALLY.decide(state, trigger, context)
