"""An organisation's inbox is shut while consents are not known for sure; the family's is open."""

from typing import Any

import msgspec
import pytest

from services.kernel.runtime import Runtime
from services.notify.app import SERVICE
from services.notify.domain_case import Case
from services.notify.store import project
from tests.examples_notify import CASE, MOTHER, ORGANISATION, TENANT, a_case, accepted, lost, sent, withdrawn
from tests.store.test_http import Site, a_token, open_site, tick
from tests.store.test_notify_store import saved

A_STREAM = """
insert into streams (stream_id, tenant, version, seq, marks, kind, state)
values ($1, $2, 1, 0, '{}', 'case', $3::text::json)
"""


async def keep(runtime: Runtime, case: Case) -> None:
    """Let the service hold a case with its notices."""
    async with runtime.pool.acquire() as tx, tx.transaction():
        await tx.execute(A_STREAM, CASE, TENANT, msgspec.json.encode(case).decode())
        await project(tx, [saved(case)])


async def kinds(site: Site, **claims: Any) -> tuple[int, list[str]]:
    """Return how an inbox answers: the status, and the kinds of news in it or the problem's name."""
    answer = await site.ask("GET", "/notify/inbox", token=a_token(**claims))
    if answer.status != 200:
        return answer.status, [answer.slug]
    return answer.status, [notice["kind"] for notice in answer.body["notices"]]


COORDINATOR = {"role": "coordinator", "organisation_id": str(ORGANISATION)}
GUARDIAN = {"role": "guardian", "sub": str(MOTHER)}


@pytest.mark.req("K3")
async def test_an_organisations_inbox_waits_for_fresh_word_of_consents(postgres_dsn: str) -> None:
    """Nobody is shown what a withdrawal on its way may have closed; who may know anyway is not held up."""
    async with open_site(postgres_dsn, SERVICE, horizon_seconds=60) as site:
        await keep(site.runtime, a_case(sent(), accepted()))
        never = await kinds(site, **COORDINATOR)
        await tick(site.runtime, 90.0)
        old, family = await kinds(site, **COORDINATOR), await kinds(site, **GUARDIAN)
        await tick(site.runtime, 1.0)
        fresh = await kinds(site, **COORDINATOR)
        await site.runtime.pool.execute("update streams set parked = true")
        halted = await kinds(site, **COORDINATOR)

    assert never == old == halted == (503, ["consent-unknown"])
    assert fresh == (200, ["referral_sent"])
    assert family[0] == 200
    assert "referral_accepted" in family[1]


@pytest.mark.req("K3")
async def test_the_word_to_stop_is_shown_also_then(postgres_dsn: str) -> None:
    """An organisation that must stop reads so whatever is known of consents."""
    async with open_site(postgres_dsn, SERVICE, horizon_seconds=60) as site:
        await keep(site.runtime, a_case(sent(), accepted(), lost(), withdrawn()))
        shown = await kinds(site, **COORDINATOR)

    assert shown == (200, ["referral_withdrawn"])
