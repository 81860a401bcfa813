"""HTTP authentication and authorization: tokens, roles and municipalities."""

import time
from collections.abc import Callable

import pytest

from tests.http_site import STRANGER, Site, a_token
from tests.issuers import AUDIENCE
from tests.waiting import until


async def test_a_request_without_a_token_is_answered_401(site: Site) -> None:
    """The response says how to sign in."""
    answer = await site.begin(token=None)

    assert (answer.status, answer.slug) == (401, "token-missing")
    assert answer.headers["www-authenticate"] == "Bearer"


EXPIRED = int(time.time()) - 3600
TOKENS: dict[str, Callable[[], str]] = {
    "no token at all": lambda: "guess",
    "another issuer's": lambda: a_token(STRANGER),
    "unsigned": lambda: "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.",
    "expired": lambda: a_token(exp=EXPIRED),
    "for another audience": lambda: a_token(aud="other"),
    "for other audiences": lambda: a_token(aud=["other", "another"]),
    "for no audience": lambda: a_token(aud=[]),
    "that ends at no time": lambda: a_token(exp="soon"),
    "of the system": lambda: a_token(role="system"),
    "of an unknown role": lambda: a_token(role="mayor"),
    "without a role": lambda: a_token(role=None),
    "without a municipality": lambda: a_token(tenant=None),
    "of no municipality": lambda: a_token(tenant="44"),
    "of somebody without an id": lambda: a_token(sub="Karen"),
    "that never ends": lambda: a_token(exp=None),
    "whose time has not come": lambda: a_token(nbf=int(time.time()) + 3600),
    "whose head breaks the reader": lambda: "eyJhbGciOiJFZDI1NTE5IiwiY3JpdCI6NX0.e30.e30",
}


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS.keys())
async def test_an_invalid_token_is_refused(site: Site, token: Callable[[], str]) -> None:
    """Nothing happens, and the token is not repeated; it is made here, so that only its one fault counts."""
    value = token()
    answer = await site.begin(token=value)

    assert (answer.status, answer.slug) == (401, "token-invalid")
    assert value not in answer.text
    assert await site.events() == []


async def test_a_token_may_be_written_as_the_standard_allows(site: Site) -> None:
    """Several audiences, and times between two seconds (RFC 7519, 2 and 4.1.3)."""
    now = time.time()
    tokens = [
        a_token(aud=["other", AUDIENCE]),
        a_token(exp=now + 300.5, nbf=now - 0.5),
        a_token(nbf=0),
    ]

    assert [(await site.begin(token=token)).status for token in tokens] == [201] * 3


async def test_a_valid_token_is_refused_once_it_has_expired(site: Site) -> None:
    """A cached verification does not outlive the token."""
    token = a_token(exp=int(time.time()) - 25)  # five of the thirty seconds by which clocks may differ
    good = await site.begin(token=token)

    async def ended() -> bool:
        return (await site.begin(token=token)).status == 401

    await until(ended)
    assert good.status == 201


async def test_a_denied_request_is_recorded_in_the_audit_trail(site: Site) -> None:
    """The trail says which actor tried what on which case; nothing else happened."""
    begun = (await site.begin()).body["id"]
    coordinator = a_token(role="coordinator", sub="0199a000-0000-7000-8000-0000000000cc")

    done = await site.count(begun, 1, token=coordinator)
    read = await site.request("GET", f"/consent/tallies/{begun}", token=coordinator)
    shown = await site.request("GET", f"/consent/tallies/{begun}/status", token=coordinator)

    assert [(each.status, each.slug) for each in (done, read, shown)] == [(404, "not-found")] * 3
    tried = [event for event in await site.events() if event[2] == "consent.access_refused.v1"]
    assert [event[3] for event in tried] == [
        {"case_id": begun, "wanted": wanted, "slug": "not_found", "times": 1}
        for wanted in ("count", "look", "look")
    ]
    assert [event[1] for event in tried] == [1, 2, 3]
    rows = await site.runtime.pool.fetch("select meta ->> 1 as actor, meta ->> 2 as role from event_log")
    assert [tuple(row) for row in rows][1:] == [("0199a000-0000-7000-8000-0000000000cc", "coordinator")] * 3


async def test_a_list_requires_a_role(site: Site) -> None:
    """A query requires its role, and returns rows of one municipality."""
    await site.begin()
    await site.begin(token=a_token(tenant="0461"))

    refused = await site.request("GET", "/consent/numbers", token=a_token(role="guardian"))
    found = await site.request("GET", "/consent/numbers")

    assert (refused.status, refused.slug) == (403, "not-allowed")
    assert (found.status, found.body) == (200, 1)
