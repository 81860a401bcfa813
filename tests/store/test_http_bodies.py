"""HTTP request bodies: unreadable, invalid and oversized ones are refused without repeating them."""

import json
from collections.abc import AsyncIterator

import pytest

from services.kernel.http.protocol import LARGEST_BODY
from tests.http_site import Site
from tests.tally import ACTOR


async def test_a_body_that_is_not_json_is_refused(site: Site) -> None:
    """400, and nothing of the body is repeated."""
    headers = {"Idempotency-Key": "1", "Content-Type": "application/json"}
    answer = await site.request("POST", "/consent/tallies", data=b'{"word": "Karen', headers=headers)

    assert (answer.status, answer.slug) == (400, "body-unreadable")
    assert "Karen" not in answer.text


A_BODY = f'{{"referral_id": "{ACTOR}", "word": "Karen"}}'
UNREADABLE = {
    "not UTF-8": A_BODY.encode().replace(b"Karen", b"Karen \xff"),
    "UTF-16": A_BODY.encode("utf-16"),
    "UTF-16 without a mark": A_BODY.encode("utf-16-le"),
    "UTF-32": A_BODY.encode("utf-32"),
    "half a pair": A_BODY.encode().replace(b"Karen", b"\xed\xa0\x80"),
    "too deep": b'{"word": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "a number without end": b'{"word": ' + b"1" * 5_000 + b"}",
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_an_unreadable_body_is_refused(site: Site, body: bytes) -> None:
    """400 with one problem code, whichever parser fails."""
    headers = {"Idempotency-Key": "1", "Content-Type": "application/json"}
    answer = await site.request("POST", "/consent/tallies", data=body, headers=headers)

    assert (answer.status, answer.slug) == (400, "body-unreadable")
    assert "Karen" not in answer.text
    assert await site.events() == []


async def test_invalid_fields_are_named_and_their_values_not_repeated(site: Site) -> None:
    """422 with path and kind of each error, and no value."""
    body = {"referral_id": "Karen Hansen", "word": "Søren" * 50, "mette": "Mette", "Anne Holm": 1}
    answer = await site.request("POST", "/consent/tallies", json=body, headers={"Idempotency-Key": "1"})

    assert (answer.status, answer.slug) == (422, "body-not-understood")
    assert {(error["at"], error["what"]) for error in answer.body["errors"]} == {
        ("body/referral_id", "uuid_parsing"),
        ("body/word", "string_too_long"),
        ("body/?", "extra_forbidden"),
    }
    for value in ("Karen", "Søren", "mette", "Mette", "Anne", "`K`"):
        assert value not in answer.text


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (r"a\u0000", 422),
        (r"\\\u0000", 422),
        (r"\\u0000", 201),
        (r"\\\\u0000", 201),
        (r"\u0001", 201),
        (r"\u00000", 422),
    ],
)
async def test_a_text_with_the_character_nul_is_refused(site: Site, raw: str, status: int) -> None:
    """U+0000 is refused before it reaches the database; an escaped backslash before `u0000` is kept."""
    body = f'{{"referral_id": "{ACTOR}", "word": "{raw}"}}'.encode()
    headers = {"Idempotency-Key": "1", "Content-Type": "application/json"}

    answer = await site.request("POST", "/consent/tallies", data=body, headers=headers)
    query = await site.request("GET", "/consent/bug?word=%00")

    assert answer.status == status
    assert status == 201 or answer.body["errors"][0]["at"] == "body"
    assert (query.status, query.slug, query.body["errors"][0]["at"]) == (422, "body-not-understood", "query")


async def test_a_body_has_a_size_limit(site: Site) -> None:
    """413 with and without Content-Length; a body within the limit is parsed."""
    filled = json.dumps({"referral_id": str(ACTOR), "word": "x" * LARGEST_BODY}).encode()

    async def in_parts() -> AsyncIterator[bytes]:
        for start in range(0, len(filled), 8192):
            yield filled[start : start + 8192]

    headers = {"Idempotency-Key": "1", "Content-Type": "application/json"}
    declared = await site.request("POST", "/consent/tallies", data=filled, headers=headers)
    chunked = await site.request("POST", "/consent/tallies", data=in_parts(), headers=headers)
    within = await site.request("POST", "/consent/tallies", data=filled[: LARGEST_BODY - 10], headers=headers)

    assert (declared.status, declared.slug) == (413, "http-413")
    assert (chunked.status, chunked.slug) == (413, "http-413")
    assert (within.status, within.slug) == (400, "body-unreadable")
    assert await site.events() == []


async def test_a_bug_is_answered_without_its_message(site: Site) -> None:
    """500 as a problem document with all headers; the exception's text is not repeated."""
    answer = await site.request("GET", "/consent/bug?word=Karen")

    assert (answer.status, answer.slug) == (500, "bug")
    assert "Karen" not in answer.text
    assert "RuntimeError" not in answer.text


async def test_health_and_metrics_carry_the_headers_too(site: Site) -> None:
    """Every response has them, with or without a token."""
    for path in ("/live", "/ready", "/metrics", "/openapi.json"):
        assert (await site.request("GET", path, token=None)).status in {200, 503}
