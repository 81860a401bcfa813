"""HTTP audit trail: every read of private values is recorded before it is answered."""

import asyncio
from typing import Any

import pytest
from joserfc.jwk import KeySet

from services.kernel.http.authentication import TokenVerifier
from services.kernel.ids import access_stream
from tests.http_site import AUDIENCE, ISSUER, Site, a_token
from tests.logins import alter
from tests.tally import ACTOR, TENANT


async def test_a_read_of_private_values_is_in_the_audit_trail(site: Site) -> None:
    """Actor, parts and purpose are on the actor's own stream before the response is sent."""
    begun = (await site.begin(word="private")).body["id"]

    shown = await site.request("GET", f"/consent/tallies/{begun}")

    assert (shown.status, shown.body["word"], shown.headers["etag"]) == (200, "private", '"1"')
    stream_id, seq, event_type, data = (await site.events())[-1]
    assert (stream_id, seq, event_type) == (access_stream(TENANT, ACTOR), 1, "consent.looked.v1")
    assert data == {"case_id": begun, "what": ["word", "seen"], "purpose": "casework"}


def actor() -> Any:
    """Return the caseworker of the tests."""
    return TokenVerifier(KeySet([ISSUER]), AUDIENCE).authenticate(f"Bearer {a_token()}")


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
