"""Bounds of the HTTP server: size, time and number, each over a real socket (finding 8)."""

import time
from collections.abc import AsyncIterator

import pytest
from prometheus_client import generate_latest

from services.kernel import metrics
from tests.http_site import Site, a_token, open_site
from tests.raw_http import connect, exchange, get
from tests.waiting import until

SHORT = 0.3


@pytest.fixture
async def strict(postgres_dsn: str) -> AsyncIterator[Site]:
    """Serve with small bounds."""
    async with open_site(
        postgres_dsn,
        http_header_bytes=2_048,
        http_headers=16,
        http_header_seconds=SHORT,
        http_body_seconds=SHORT,
        http_address_connections=4,
        http_connections=6,
    ) as opened:
        await opened.session.close()
        yield opened


async def test_headers_have_a_size_limit(site: Site) -> None:
    """431 as a problem document, also where they come byte by byte or in many headers."""
    large = await exchange(site.port, get("/live", "Accept-Language: " + "da," * 8_000))
    many = await exchange(site.port, get("/live", *(f"X-{n}: 1" for n in range(100))))
    target = await exchange(site.port, get("/live?" + "a" * 20_000))
    parts = await connect(site.port)
    await parts.send(b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")
    for _ in range(200):
        await parts.send(b"a" * 100)
    in_parts = await parts.until_closed()

    for answer in (large, many, target, in_parts):
        assert (answer.statuses, answer.slug) == ([431], "headers-too-large")
        assert answer.headers["connection"] == "close"


async def test_ordinary_headers_are_taken(site: Site) -> None:
    """A long token and a browser's headers are far below the bounds."""
    answer = await exchange(
        site.port, get("/live", "Cookie: " + "a" * 8_000, *(f"X-{n}: 1" for n in range(40)))
    )

    assert answer.statuses == [200]


async def test_finding_8_oversized_headers_cost_nearly_nothing(site: Site) -> None:
    """Finding 8: eight megabytes of Accept-Language are refused once 16 KiB of them are there."""
    request = get("/live", "Accept-Language: " + "da;q=0.5," * 930_000)
    before = time.process_time()

    answer = await exchange(site.port, request)

    assert answer.statuses in ([431], [])  # the connection may be cut before the client has read it
    assert time.process_time() - before < 0.3  # with the client's own work, which this process does too


async def test_headers_have_a_time_limit(strict: Site) -> None:
    """408 where they are begun and not ended, however often another byte comes."""
    begun = await exchange(strict.port, b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nX-")
    later = await connect(strict.port)
    await later.send(get("/live").replace(b"Connection: close\r\n", b""))
    assert (await later.one()).statuses == [200]
    await later.send(b"GET /li")
    second = await later.until_closed()

    assert (begun.statuses, begun.slug) == ([408], "request-too-slow")
    assert (second.statuses, second.slug) == ([408], "request-too-slow")


async def test_an_unused_connection_is_closed(strict: Site) -> None:
    """A connection over which nothing comes is closed without a response."""
    assert (await exchange(strict.port, b"")).raw == b""


async def test_a_body_has_a_time_limit(strict: Site) -> None:
    """408 where a body does not arrive; the command is not done, and no bug is counted."""
    bugs = _sum("samspil_bugs_total")
    head = (
        f"POST /consent/tallies HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {a_token()}\r\n"
        "Content-Type: application/json\r\nIdempotency-Key: 1\r\nContent-Length: 100\r\n\r\n{"
    )
    answer = await exchange(strict.port, head.encode())

    assert (answer.statuses, answer.slug) == ([408], "request-too-slow")
    assert await strict.events() == []
    assert _sum("samspil_bugs_total") == bugs


async def test_a_body_that_nobody_waits_for_is_cut_off(strict: Site) -> None:
    """A response that needs no body is given at once, and the connection ends although the body does not."""
    head = b"POST /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 60000\r\n\r\n{"
    answer = await exchange(strict.port, head)
    endless = await connect(strict.port)
    await endless.send(head.replace(b"Content-Length: 60000", b"Transfer-Encoding: chunked")[:-1])
    for _ in range(64):
        await endless.send(b"2000\r\n" + b"a" * 8_192 + b"\r\n")
    cut = await endless.until_closed()

    assert (answer.statuses, answer.slug) == ([404], "http-404")
    assert cut.statuses in ([404], [])


async def test_a_client_that_does_not_read_is_cut_off(strict: Site) -> None:
    """Responses that nobody reads are not kept for ever."""
    unread = metrics.HTTP_REFUSED.labels("response-unread")
    before = unread._value.get()
    client = await connect(strict.port)
    await client.send(get("/openapi.json").replace(b"Connection: close\r\n", b"") * 15)
    await client.send(get("/metrics").replace(b"Connection: close\r\n", b"") * 600)

    async def cut() -> bool:
        return bool(unread._value.get() > before)

    await until(cut)
    await client.close()


async def test_an_address_has_so_many_connections(strict: Site) -> None:
    """503 for one more than an address may have; another address still connects, until all are taken."""
    mine = [await connect(strict.port) for _ in range(4)]
    refused = await exchange(strict.port, b"")
    others = [await connect(strict.port, "127.0.0.2") for _ in range(2)]
    full = await exchange(strict.port, b"", "127.0.0.3")

    assert (refused.statuses, refused.slug) == ([503], "too-many-connections")
    assert refused.headers["retry-after"] == "5"
    assert (full.statuses, full.slug) == ([503], "too-many-connections")

    for client in (*mine, *others):
        await client.close()

    async def served() -> bool:
        return (await exchange(strict.port, get("/live"))).statuses == [200]

    await until(served)


async def test_a_trusted_proxy_has_more_connections(postgres_dsn: str) -> None:
    """The connections of all clients come from a gateway's address, so that only the total counts."""
    async with open_site(
        postgres_dsn, http_trusted_proxies="127.0.0.0/8", http_address_connections=1
    ) as site:
        clients = [await connect(site.port) for _ in range(5)]
        answer = await exchange(site.port, get("/live"))
        for client in clients:
            await client.close()

    assert answer.statuses == [200]


async def test_an_idle_connection_is_closed(postgres_dsn: str) -> None:
    """A connection is kept for the next request only for a while."""
    async with open_site(postgres_dsn, http_idle_seconds=1) as site:
        client = await connect(site.port)
        await client.send(get("/live").replace(b"Connection: close\r\n", b""))
        answer = await client.until_closed()

    assert answer.statuses == [200]


async def test_pipelined_requests_are_all_answered(site: Site) -> None:
    """Requests that are sent without waiting are not counted as one head."""
    several = get("/live", "Cookie: " + "a" * 4_000).replace(b"Connection: close\r\n", b"") * 8

    answer = await exchange(site.port, several + get("/live"))

    assert answer.statuses == [200] * 9


async def test_metrics_do_not_grow_by_what_is_sent(site: Site) -> None:
    """Finding 8: thousands of odd methods, addresses and reasons leave a handful of series."""
    methods = ("PURGE", "MKCALENDAR", "LINK", "PROPFIND", "TRACE", "OPTIONS", "HEAD", "PUT", "DELETE", "GET")
    token = f"Authorization: Bearer {a_token()}"

    async def send_odd_ones(word: str) -> None:
        for method in methods:
            for path in ("/consent/tallies", "/live", "/openapi.json"):
                await exchange(site.port, get(f"{path}?{word}", token).replace(b"GET", method.encode(), 1))
        client = await connect(site.port)
        for n in range(700):
            path = f"/{word}/{n}" if n % 2 else f"/consent/tallies/{word}-{n}"
            method = methods[n % len(methods)]
            if method != "HEAD":
                request = get(path, token).replace(b"GET", method.encode(), 1)
                await client.send(request.replace(b"Connection: close\r\n", b""))
                await client.one()
        await client.close()
        for broken in (
            b"\x00\x01",
            b"FOO / HTTP/1.1\r\n\r\n",
            get("/live", host="a\r\nHost: b"),
            get("/%2f"),
        ):
            await exchange(site.port, broken)

    await send_odd_ones("qyxa")
    size = len(generate_latest(metrics.REGISTRY_OF_ALL))
    await send_odd_ones("qyxb")
    await send_odd_ones("qyxc")

    text = generate_latest(metrics.REGISTRY_OF_ALL).decode()
    assert len(text) < size * 1.02  # only digits of the counts
    assert "PURGE" not in text
    assert "qyxb" not in text
    assert 'method="other",route="unknown"' in text


def _sum(name: str) -> float:
    return sum(
        sample.value
        for metric in metrics.REGISTRY_OF_ALL.collect()
        for sample in metric.samples
        if sample.name == name
    )
