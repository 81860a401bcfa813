"""Admission over real sockets: addresses, doubled headers, hosts (finding 14) and rates."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.kernel.ids import new_id
from tests.http_site import STRANGER, Site, a_token, open_site
from tests.raw_http import exchange, get


@pytest.mark.parametrize("part", ["%2F", "%2f", "%5C", "\\", "%00", "%0a", "%7F"])
async def test_finding_14_an_encoded_slash_matches_no_route(site: Site, part: str) -> None:
    """Finding 14: an address is read as it stands, and what only looks like another is refused."""
    token = f"Authorization: Bearer {a_token()}"
    tally = (await site.begin()).body["id"]

    for path in (f"/consent/tallies{part}{tally}", f"/consent/tallies/{tally}{part}status", f"/{part}live"):
        answer = await exchange(site.port, get(path, token))

        assert (answer.statuses, answer.slug) == ([400], "address-unreadable")


async def test_finding_14_a_header_that_is_there_twice_is_refused(site: Site) -> None:
    """Finding 14: of two hosts, tokens, keys or versions no reader chooses another than we do."""
    token = f"Authorization: Bearer {a_token()}"
    for twice in ("Host: evil.example", token, "Idempotency-Key: 1", 'If-Match: "1"', "Content-Type: a/b"):
        lines = (token, "Idempotency-Key: 1", 'If-Match: "1"', "Content-Type: a/b", twice)
        answer = await exchange(site.port, get("/consent/numbers", *lines))

        assert (answer.statuses, answer.slug) == ([400], "request-unreadable")


async def test_a_request_without_a_host_is_refused(site: Site) -> None:
    """HTTP/1.1 requires a host (RFC 9112, 3.2)."""
    answer = await exchange(site.port, b"GET /live HTTP/1.1\r\nConnection: close\r\n\r\n")

    assert (answer.statuses, answer.slug) == ([400], "request-unreadable")


async def test_a_request_that_is_no_http_is_refused_by_a_problem(site: Site) -> None:
    """What the parser refuses is answered in the same form as everything else."""
    answer = await exchange(site.port, b"GET /live HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n")

    assert (answer.statuses, answer.slug) == ([400], "request-unreadable")


async def test_finding_14_only_the_hosts_that_are_set_are_answered(postgres_dsn: str) -> None:
    """Finding 14: a page under another name that leads to this address (DNS rebinding) gets no answer."""
    async with open_site(postgres_dsn, http_hosts="127.0.0.1,Samspil.example.dk:8443,[::1]") as site:
        for host in ("127.0.0.1", f"127.0.0.1:{site.port}", "samspil.EXAMPLE.dk:8443", "[::1]:8080"):
            assert (await exchange(site.port, get("/live", host=host))).statuses == [200]
        for host in ("evil.example", "samspil.example.dk", "127.0.0.1.evil.example", "127.0.0.1@evil", ""):
            answer = await exchange(site.port, get("/live", host=host))
            assert (answer.statuses, answer.slug) == ([421], "host-unknown")


@pytest.fixture
async def limited(postgres_dsn: str) -> AsyncIterator[Site]:
    """Serve with small limits on requests."""
    async with open_site(
        postgres_dsn, http_person_requests=5, http_tenant_requests=8, http_address_requests=20
    ) as opened:
        yield opened


async def test_a_person_has_so_many_requests_a_minute(limited: Site) -> None:
    """429 with Retry-After for the one, before anything is done; another person is served."""
    mine, other = a_token(), a_token(sub=str(new_id()))
    answers = [await limited.begin(token=mine) for _ in range(7)]
    served = await limited.request("GET", "/consent/numbers", token=other)

    assert [answer.status for answer in answers] == [201] * 5 + [429] * 2
    assert answers[-1].slug == "too-many-requests"
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 12
    assert served.body == 5


async def test_a_municipality_has_so_many_requests_a_minute(limited: Site) -> None:
    """Many persons of one municipality together; another municipality is served."""
    many = [a_token(sub=str(new_id())) for _ in range(10)]
    answers = [await limited.request("GET", "/consent/numbers", token=token) for token in many]
    other = await limited.request("GET", "/consent/numbers", token=a_token(tenant="0657"))

    assert [answer.status for answer in answers] == [200] * 8 + [429] * 2
    assert other.status == 200


async def test_requests_without_a_good_token_count_at_their_address(limited: Site) -> None:
    """Whoever guesses tokens is answered 429 there; who has a good one is served from the same address."""
    forged = a_token(STRANGER)
    answers = [await limited.request("GET", "/consent/numbers", token=forged) for _ in range(15)]
    answers += [await limited.request("GET", f"/nowhere/{n}", token=None) for n in range(10)]
    colleague = await limited.request("GET", "/consent/numbers", token=a_token())
    health = [await limited.request("GET", path, token=None) for path in ("/live", "/ready")]
    elsewhere = await exchange(limited.port, get("/openapi.json"), "127.0.0.2")

    refused = [answer for answer in answers if answer.status == 429]
    assert 4 <= len(refused) <= 6  # the first health checks are free, and the bucket is refilled meanwhile
    assert {answer.slug for answer in refused} == {"too-many-requests"}
    assert colleague.status == 200
    assert {answer.status for answer in health} <= {200, 503}
    assert elsewhere.statuses == [200]


async def test_a_forwarded_address_counts_only_from_a_trusted_proxy(postgres_dsn: str) -> None:
    """Without that setting a client could name any address, and be another one each time."""
    statuses = {}
    for proxies in ("", "127.0.0.1"):
        async with open_site(postgres_dsn, http_trusted_proxies=proxies, http_address_requests=5) as site:
            requests = [get("/openapi.json", f"X-Forwarded-For: 192.0.2.{n}") for n in range(8)]
            answers = [await exchange(site.port, request) for request in requests]
            statuses[proxies] = [status for answer in answers for status in answer.statuses]

    assert statuses[""].count(429) >= 2
    assert statuses["127.0.0.1"] == [200] * 8


async def test_many_at_once_are_counted_one_by_one(limited: Site) -> None:
    """Concurrency takes nobody past a limit."""
    token = a_token()
    requests = (limited.request("GET", "/consent/numbers", token=token) for _ in range(20))
    answers = await asyncio.gather(*requests)

    assert sorted(answer.status for answer in answers) == [200] * 5 + [429] * 15
