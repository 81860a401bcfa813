"""HTTP preconditions: the version that an actor saw, in If-Match and ETag."""

import asyncio

import pytest

from tests.http_site import Site, a_token
from tests.tally import ACTOR


async def test_a_command_names_the_version_that_was_seen(site: Site) -> None:
    """428 without If-Match, 412 for a stale version, and the current version is accepted."""
    first = await site.begin()
    begun = first.body["id"]

    missing = await site.count(begun, None)
    right = await site.count(begun, 1)
    stale = await site.count(begun, 1)
    weak = await site.count(begun, 'W/"2"')

    assert first.headers["etag"] == '"1"'
    assert (missing.status, missing.slug) == (428, "version-missing")
    assert (right.status, right.body["version"], right.headers["etag"]) == (200, 2, '"2"')
    assert (stale.status, stale.slug, stale.body["detail"]) == (412, "stale", "it stands at 2")
    assert weak.status == 200


@pytest.mark.parametrize("seen", ["*", '"one"', '"-1"', '"1", "2"', '"' + "9" * 5000 + '"', '"\u00b2"', '""'])
async def test_an_unreadable_version_is_refused(site: Site, seen: str) -> None:
    """428 for every malformed If-Match; the response says how to write it."""
    begun = (await site.begin()).body["id"]
    raw = (
        f"POST /consent/tallies/{begun}/counts HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {a_token()}\r\n"
        f"idempotency-key: 1\r\nif-match: {seen}\r\ncontent-type: application/json\r\n"
        f'content-length: 54\r\nconnection: close\r\n\r\n{{"referral_id":"{ACTOR}"}}'
    )

    answer = await exchange(site.port, raw.encode("latin-1"))

    assert answer.startswith("HTTP/1.1 428 ")
    assert "urn:samspil:problem:version-missing" in answer


async def exchange(port: int, raw: bytes) -> str:
    """Send raw bytes and return the raw response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(raw)
    async with asyncio.timeout(20):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer.decode("latin-1")
