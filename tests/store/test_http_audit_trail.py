"""HTTP audit trail: every read of private values is recorded before it is answered."""

import asyncio
from uuid import UUID

import pytest

from contracts.consent import ConsentLooked
from services.kernel.decider.decision import Actor
from services.kernel.errors import AccessNotRecorded
from tests.http_site import Site
from tests.logins import alter
from tests.tally import ACTOR, TENANT


async def test_a_read_of_private_values_is_in_the_audit_trail(site: Site) -> None:
    """Actor, parts and purpose are on the actor's own stream before the response is sent."""
    begun = (await site.begin(word="private")).body["id"]

    shown = await site.request("GET", f"/consent/tallies/{begun}")

    assert (shown.status, shown.body["word"], shown.headers["etag"]) == (200, "private", '"1"')
    stream_id, seq, event_type, data = (await site.events())[-1]
    own = await site.runtime.pool.fetchval("select stream_id from access_streams")
    assert (stream_id, seq, event_type) == (own, 1, "consent.looked.v1")
    assert data == {"case_id": begun, "what": ["word", "seen"], "purpose": "casework"}


async def test_concurrent_reads_are_each_in_the_audit_trail(site: Site) -> None:
    """Twenty open windows are twenty reads."""
    begun = (await site.begin(word="private")).body["id"]

    shown = await asyncio.gather(*(site.request("GET", f"/consent/tallies/{begun}") for _ in range(20)))

    assert {answer.status for answer in shown} == {200}
    looks = [event[1] for event in await site.events() if event[2] == "consent.looked.v1"]
    assert looks == list(range(1, 21))


@pytest.mark.parametrize(("state", "status"), [("57P03", 503), ("P0001", 500)])
async def test_a_read_that_cannot_be_recorded_fails(site: Site, state: str, status: int) -> None:
    """Where the trail cannot be written nothing is returned."""
    begun = (await site.begin(word="private")).body["id"]
    await alter(
        site.runtime,
        "create function down() returns trigger language plpgsql as "
        f"$$ begin raise exception 'down' using errcode = '{state}'; end $$",
    )
    await alter(
        site.runtime, "create trigger down before insert on event_log for each row execute function down()"
    )

    shown = await site.request("GET", f"/consent/tallies/{begun}")

    assert shown.status == status
    assert shown.slug in {"try-later", "bug"}
    assert "private" not in shown.text
    assert str(ACTOR) not in shown.text


async def test_a_read_without_private_values_leaves_no_record(site: Site) -> None:
    """A status without private values is not recorded."""
    begun = (await site.begin(word="private")).body["id"]

    shown = await site.request("GET", f"/consent/tallies/{begun}/status")

    assert (shown.status, shown.body["word"]) == (200, None)
    assert await site.types() == ["consent.given.v1"]


async def test_finding_2_a_read_whose_record_would_not_be_applied_fails(site: Site) -> None:
    """A reading of a person whose own stream waits for an operator shows nothing."""
    begun = (await site.begin(word="private")).body["id"]
    await site.request("GET", f"/consent/tallies/{begun}")
    await site.runtime.pool.execute(
        "update streams set halted = true, version = version + 1"
        " where stream_id = (select stream_id from access_streams)"
    )

    shown = await site.request("GET", f"/consent/tallies/{begun}")

    assert (shown.status, shown.slug) == (500, "access-not-recorded")
    assert "private" not in shown.text


async def test_finding_2_a_read_whose_record_cannot_be_decoded_fails(site: Site) -> None:
    """An entry is decoded as the trail decodes it before it is written: a role that is no code is none."""
    begun = (await site.begin(word="private")).body["id"]
    odd = Actor(ACTOR, "case\0worker", TENANT)
    event = ConsentLooked(case_id=UUID(begun), what=("word",), purpose="casework")

    async with site.runtime.pool.acquire() as tx:
        with pytest.raises(AccessNotRecorded):
            await site.runtime.access_log.append(tx, odd, event)

    assert await site.types() == ["consent.given.v1"]
