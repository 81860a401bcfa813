"""HTTP denials: what a person is refused is in the audit trail, and cannot fill it."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from contracts.event import municipality_stream
from services.kernel.http.denials import Denials
from services.kernel.ids import new_id
from services.kernel.limits import Limits
from tests.http_site import TALLY_ID, Site, a_token, open_site
from tests.logins import alter
from tests.tally import TENANT
from tests.waiting import until

SHORT = Limits(denials_seconds=0.5)


async def refusals(site: Site) -> list[dict[str, Any]]:
    """Return the bodies of the recorded denials."""
    return [data for _, _, kind, data in await site.events() if kind == "consent.access_refused.v1"]


async def be_refused(
    site: Site, times: int, path: str = f"/consent/tallies/{TALLY_ID}", **claims: Any
) -> None:
    """Ask for something without a right to it, many times at once."""
    token = a_token(role="guardian", sub="0199a000-0000-7000-8000-0000000000dd", **claims)
    answers = await asyncio.gather(*(site.request("GET", path, token=token) for _ in range(times)))
    assert {answer.status for answer in answers} <= {403, 404}


async def test_finding_9_three_hundred_refusals_are_a_few_entries(postgres_dsn: str) -> None:
    """The first five have an entry each; the others are counted, and nothing of them is lost at the end."""
    async with open_site(postgres_dsn) as site:
        await be_refused(site, 300)
        during = await refusals(site)
        denials: Denials = site.app.state.denials["consent"]
        await denials.close()
        after = await refusals(site)

    assert [one["times"] for one in during] == [1] * 5
    assert [one["times"] for one in after] == [1] * 5 + [295]
    assert {one["case_id"] for one in after} == {str(TALLY_ID)}


async def test_a_count_is_recorded_when_its_interval_ends(postgres_dsn: str) -> None:
    """Also where the person stays away; who goes on is counted only, who pauses has entries again."""
    async with open_site(postgres_dsn, limits=SHORT) as site:
        await be_refused(site, 8)
        await until(lambda: _recorded(site, 6))
        await be_refused(site, 2)
        await until(lambda: _recorded(site, 7))
        await until(lambda: _quiet(site))
        await be_refused(site, 1)
        found = await refusals(site)

    assert [one["times"] for one in found] == [1] * 5 + [3, 2, 1]


async def test_counted_refusals_of_several_cases_are_the_municipalitys(postgres_dsn: str) -> None:
    """Nobody writes into the trail of a chosen case by asking for many."""
    async with open_site(postgres_dsn, limits=SHORT) as site:
        await be_refused(site, 5)
        await be_refused(site, 1, f"/consent/tallies/{new_id()}")
        await be_refused(site, 1, f"/consent/tallies/{new_id()}")
        await until(lambda: _recorded(site, 6))
        found = await refusals(site)

    assert (found[-1]["case_id"], found[-1]["times"]) == (str(municipality_stream(TENANT)), 2)


async def test_each_person_is_counted_apart(postgres_dsn: str) -> None:
    """One person's flood hides nobody else's attempt."""
    async with open_site(postgres_dsn) as site:
        await be_refused(site, 20)
        await be_refused(site, 1, tenant="0461")
        found = await refusals(site)
        tenants = await site.runtime.pool.fetch("select tenant from access_streams order by tenant")

    assert [one["times"] for one in found] == [1] * 6
    assert [row["tenant"] for row in tenants] == [TENANT, "0461"]


async def test_a_refused_list_is_recorded_with_the_municipality(site: Site) -> None:
    """Row 15: a list that is for another role leaves an entry too, under the name of the route."""
    answer = await site.request("GET", "/consent/numbers", token=a_token(role="guardian"))

    assert (answer.status, answer.slug) == (403, "not-allowed")
    assert await refusals(site) == [
        {
            "case_id": str(municipality_stream(TENANT)),
            "wanted": "numbers",
            "slug": "not_allowed",
            "times": 1,
        }
    ]


async def test_a_denial_that_cannot_be_recorded_is_not_answered_as_one(site: Site) -> None:
    """Where the trail cannot be written, what is not there and what is another's are still one answer."""
    begun = (await site.begin(token=a_token(tenant="0461"))).body["id"]
    await alter(
        site.runtime,
        "create function down() returns trigger language plpgsql as "
        "$$ begin raise exception 'down' using errcode = '57P03'; end $$",
    )
    await alter(
        site.runtime, "create trigger down before insert on event_log for each row execute function down()"
    )

    answers = [await site.request("GET", f"/consent/tallies/{one}") for one in (begun, TALLY_ID)]

    assert [(answer.status, answer.slug) for answer in answers] == [(503, "try-later")] * 2


@pytest.mark.parametrize("start", [1, 2])
async def test_access_streams_have_random_ids(site: Site, start: int) -> None:
    """Finding 4: the stream of a person's accesses cannot be computed, and is one for each municipality."""
    for tenant in ("0440", "0461")[:start]:
        for _ in range(2):
            await site.request("GET", f"/consent/tallies/{TALLY_ID}", token=a_token(tenant=tenant))

    rows = await site.runtime.pool.fetch("select tenant, stream_id from access_streams")

    assert len(rows) == len({row["stream_id"] for row in rows}) == start
    assert {UUID(str(row["stream_id"])).version for row in rows} == {7}


async def _recorded(site: Site, count: int) -> bool:
    return len(await refusals(site)) == count


async def _quiet(site: Site) -> bool:
    return not site.app.state.denials["consent"]._persons
