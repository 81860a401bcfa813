"""HTTP idempotency: a request under one key is executed once."""

import asyncio
from uuid import UUID

import pytest

from tests.http_site import TALLY_ID, Site, a_token


async def test_a_repeated_key_gets_the_stored_response(site: Site) -> None:
    """However often a request is sent, and whatever happened since, it is executed once."""
    first = await site.begin("key-1")
    counted = await site.count(first.body["id"], 1, "key-2")
    await site.count(first.body["id"], 2, "key-3")

    again = [await site.begin("key-1") for _ in range(3)]
    counted_again = await site.count(first.body["id"], 1, "key-2")

    assert [answer.body for answer in again] == [first.body] * 3
    assert [answer.status for answer in again] == [201] * 3
    assert (counted_again.body, counted_again.headers["etag"]) == (counted.body, '"2"')
    assert counted.body["made"] is not None
    assert await site.types() == ["consent.given.v1"] * 3


async def test_twenty_concurrent_requests_under_one_key_are_executed_once(site: Site) -> None:
    """Twenty identical requests begin one tally, and count once in it."""
    begun = await asyncio.gather(*(site.begin("key-1") for _ in range(20)))
    tally = begun[0].body["id"]
    counted = await asyncio.gather(*(site.count(tally, 1, "key-2") for _ in range(20)))

    assert {answer.status for answer in begun} == {201}
    assert {answer.text for answer in begun} == {begun[0].text}
    assert {answer.status for answer in counted} == {200}
    assert {answer.text for answer in counted} == {counted[0].text}
    assert await site.types() == ["consent.given.v1"] * 2


async def test_of_twenty_concurrent_requests_on_one_version_one_succeeds(site: Site) -> None:
    """The others saw the same version and are answered 412."""
    tally = (await site.begin()).body["id"]
    counted = await asyncio.gather(*(site.count(tally, 1, f"key-{n}") for n in range(20)))

    assert sorted(answer.status for answer in counted) == [200] + [412] * 19
    assert {answer.slug for answer in counted if answer.status == 412} == {"stale"}
    assert await site.types() == ["consent.given.v1"] * 2


async def test_a_key_belongs_to_one_request(site: Site) -> None:
    """The same key with another body or another address is answered 422."""
    tally = (await site.begin("key-1")).body["id"]

    other_body = await site.begin("key-1", word="else")
    other_address = await site.count(tally, 1, "key-1")

    assert (other_body.status, other_body.slug) == (422, "key-reused")
    assert (other_address.status, other_address.slug) == (422, "key-reused")
    assert await site.types() == ["consent.given.v1"]


async def test_a_key_belongs_to_one_person(site: Site) -> None:
    """Two persons, or one person in two municipalities, may choose the same key."""
    answers = [
        await site.begin("key-1"),
        await site.begin("key-1", token=a_token(sub=str(TALLY_ID))),
        await site.begin("key-1", token=a_token(tenant="0461")),
    ]

    assert len({answer.body["id"] for answer in answers}) == 3


async def test_a_refused_command_leaves_its_key_free(site: Site) -> None:
    """A command that was refused can be sent again under its key once it is possible."""
    tally = (await site.begin()).body["id"]

    stale = await site.count(tally, 7, "key-1")
    repaired = await site.count(tally, 1, "key-1")

    assert (stale.status, repaired.status) == (412, 200)


@pytest.mark.parametrize("key", ["", "k" * 201])
async def test_a_key_is_required(site: Site, key: str) -> None:
    """Without a key, or with one too long, nothing happens."""
    answer = await site.begin(key)

    assert (answer.status, answer.slug) == (400, "key-missing")
    assert await site.events() == []


async def test_a_refusal_carries_its_code_and_title(site: Site) -> None:
    """409 with the stable code and the sentence of the rule."""
    tally = (await site.begin()).body["id"]

    answer = await site.count(tally, 1, referral=UUID(int=0))

    assert (answer.status, answer.slug) == (409, "too-many")
    assert answer.body["title"] == "More than the tally can hold."


async def test_the_words_of_a_key_are_not_kept(site: Site) -> None:
    """Row 14: what a client writes into an Idempotency-Key is kept as a keyed digest only."""
    await site.begin("Karen Jensen, 1.1.2014")

    rows = await site.runtime.pool.fetch("select key, k::text as whole from idempotency_keys k")

    assert [len(row["key"]) for row in rows] == [32]
    assert "Karen" not in rows[0]["whole"]


async def test_a_denial_under_a_used_key_is_a_denial(site: Site) -> None:
    """Whatever the key was used for before, what one has no right to looks as if it were not there."""
    await site.begin("key-1")
    begun = (await site.begin(token=a_token(tenant="0461"))).body["id"]

    foreign = await site.count(begun, 1, "key-1", token=a_token(role="guardian"))

    assert (foreign.status, foreign.slug) == (404, "not-found")
    assert (await site.types())[-1] == "consent.access_refused.v1"
