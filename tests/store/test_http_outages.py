"""HTTP during outages: 503 while the database or the consents are unavailable, and no command twice."""

from dataclasses import replace
from typing import Any

import asyncpg

from contracts.consent import ConsentLost, ConsentTicked
from services.kernel.embedded.servers import postgres
from services.kernel.errors import ConsentUnknown
from services.kernel.limits import Limits
from tests.http_site import SERVICE, Site, advance_watermark, open_site
from tests.servers import scratch_folder


async def test_an_unreachable_database_is_answered_503() -> None:
    """With Retry-After; the same request under the same key is executed once afterwards."""
    with scratch_folder() as folder:
        async with postgres(folder / "postgres") as server, open_site(server.dsn) as site:
            before = await site.begin("key-1")
            await server.stop(immediate=True)
            away = [await site.begin("key-2"), await site.request("GET", "/consent/numbers")]
            ready = await site.request("GET", "/ready", token=None)
            await server.start()
            back = await site.begin("key-2")
            again = [await site.begin("key-2"), await site.begin("key-1")]
            found = await site.types()

    assert [(answer.status, answer.slug) for answer in away] == [(503, "try-later")] * 2
    assert {answer.headers["retry-after"] for answer in away} == {"1"}
    assert ready.status == 503
    assert "database" in ready.body["reasons"]["consent"]
    assert back.status == 201
    assert [answer.body for answer in again] == [back.body, before.body]
    assert found == ["consent.given.v1"] * 2


async def test_the_wait_for_a_connection_is_bounded(postgres_dsn: str) -> None:
    """503 with Retry-After when every connection of the pool stays in use."""
    async with open_site(postgres_dsn, pool=2) as site:
        held = [await site.runtime.api_pool.acquire() for _ in range(2)]
        busy = await site.request("GET", "/consent/numbers")
        for connection in held:
            await site.runtime.api_pool.release(connection)
        free = await site.request("GET", "/consent/numbers")

    assert (busy.status, busy.slug, busy.headers["retry-after"]) == (503, "try-later", "1")
    assert free.status == 200


async def test_a_statement_timeout_is_answered_503(postgres_dsn: str) -> None:
    """A request that waits too long for a lock is answered 503; repeated, it is executed once."""
    stranger = await asyncpg.connect(postgres_dsn)
    async with open_site(postgres_dsn, limits=Limits(longest_statement_seconds=0.2)) as site:
        async with stranger.transaction():
            await stranger.execute("lock table consent.streams in access exclusive mode")
            waited = [await site.begin("key-1"), await site.request("GET", "/consent/numbers")]
        back = [await site.begin("key-1") for _ in range(2)]
        found = await site.types()
    await stranger.close()

    assert [(answer.status, answer.slug) for answer in waited] == [(503, "try-later")] * 2
    assert {answer.headers["retry-after"] for answer in waited} == {"1"}
    assert [answer.status for answer in back] == [201, 201]
    assert back[0].body == back[1].body
    assert found == ["consent.given.v1"]


async def test_without_fresh_consents_a_command_is_answered_503(postgres_dsn: str) -> None:
    """503 until the watermark of the consents is recent; it is not recorded as a denial."""

    def authorize(_state: Any, _trigger: Any, context: Any) -> bool:
        if not context.consents_fresh:
            raise ConsentUnknown
        return True

    service = replace(SERVICE, subscribes_to=(ConsentLost, ConsentTicked), authorize=authorize)
    async with open_site(postgres_dsn, service, consent_max_age_seconds=60) as site:
        shut = await site.begin("key-1")
        await advance_watermark(site.runtime, 61.0)
        old = await site.begin("key-1")
        await advance_watermark(site.runtime, 1.0)
        open_ = await site.begin("key-1")
        found = await site.types()

    assert [(answer.status, answer.slug) for answer in (shut, old)] == [(503, "consent-unknown")] * 2
    assert shut.headers["retry-after"] == "5"
    assert open_.status == 201
    assert found == ["consent.given.v1"]


async def test_a_command_survives_cut_connections(postgres_dsn: str, site: Site) -> None:
    """A connection that the server has closed costs at most one response, and no command runs twice."""
    stranger = await asyncpg.connect(postgres_dsn)
    answers = []
    for n in range(5):
        await stranger.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name = 'samspil consent'"
        )
        while (answer := await site.begin(f"key-{n}")).status == 503:
            assert answer.headers["retry-after"] == "1"
        answers.append(answer)
    await stranger.close()

    assert {answer.status for answer in answers} == {201}
    assert await site.types() == ["consent.given.v1"] * 5
