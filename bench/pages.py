"""What a page costs: p50 and p95 of the portal's pages against a bare page of the same server, in one run.

`python -m bench.pages` runs `samspil up` on an empty folder, opens so many cases over HTTP, signs a
caseworker in through the pages, and asks for each page in turn, with a bare one (`/leave`) between.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Final

import aiohttp

from bench.arguments import command
from demo.server import serving
from demo.situations import Child, opened
from demo.tour import day_of
from demo.wire import AT_ONCE, wire_to
from demo.world import TENANT, World
from services.kernel.embedded.child_process import free_port
from tests.servers import scratch_folder

_BARE: Final = "/leave"
_HTML: Final = {"Accept": "text/html", "Accept-Language": "da", "Sec-Fetch-Site": "same-origin"}
_CHILD: Final = Child("Måling", "Opfundet", 9, ())


async def _opened(world: World, cases: int) -> str:
    """Open the cases, a few at a time, and return the id of one of them."""
    await world.set_up()
    slots = asyncio.Semaphore(AT_ONCE)

    async def one() -> str:
        async with slots:
            return str((await opened(world, _CHILD)).case_id)

    return (await asyncio.gather(*(one() for _ in range(cases))))[-1]


@asynccontextmanager
async def _signed_in(url: str, name: str) -> AsyncIterator[aiohttp.ClientSession]:
    """Lend a browser in which somebody has signed in by the card of the pretended provider."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), headers=_HTML) as browser:
        async with browser.get(f"{url}/sign-in") as page:
            link = re.search(r'href="(/sign-in/start[^"]*)"', await page.text())
        assert link is not None, "no way to sign in"
        async with browser.get(url + unescape(link[1])) as page:
            text, at = await page.text(), page.url
        hidden = {key: unescape(value) for key, value in re.findall(r'name="(\w+)" value="([^"]*)"', text)}
        subject = re.search(rf'name="subject" value="([^"]+)"[^>]*><strong>{name}', text)
        assert subject is not None, f"no card of {name}"
        async with browser.post(at.with_query(None), data={**hidden, "subject": subject[1]}) as page:
            assert page.ok, page.status
        yield browser


async def _seconds(browser: aiohttp.ClientSession, url: str) -> tuple[float, int]:
    began = perf_counter()
    async with browser.get(url) as page:
        size = len(await page.read())
    assert page.ok, f"{page.status} at {page.url.path}"
    return perf_counter() - began, size


def _p95(seconds: list[float]) -> float:
    return sorted(seconds)[int(len(seconds) * 0.95)]


async def _measure(cases: int, rounds: int, folder: Path) -> None:
    with serving(folder / "pages", port=free_port(), virtual=False) as (url, _process):
        async with wire_to(url, TENANT, print) as wire:
            clock = await wire.read(None, "/development/clock")
            case_id = await _opened(World(wire, f"{url}/development/oidc", day_of(clock["now"])), cases)
        pages = (_BARE, "/", "/cases", f"/cases/{case_id}", "/offers", "/messages")
        taken: dict[str, list[float]] = {page: [] for page in pages}
        sizes: dict[str, int] = {}
        async with _signed_in(url, "Ida Eksempel") as browser:
            for _ in range(rounds):
                for page in pages:
                    seconds, sizes[page] = await _seconds(browser, url + page)
                    taken[page].append(seconds)
    bare = median(taken[_BARE])
    for page in pages:
        shown = page.replace(case_id, "{case_id}")
        p50, p95 = median(taken[page]) * 1000, _p95(taken[page]) * 1000
        times = f"p50 {p50:6.1f} ms  p95 {p95:6.1f} ms  {p50 / bare / 1000:5.1f} times bare"
        print(f"{shown:18} {times}  {sizes[page]:6} bytes")


if __name__ == "__main__":
    counts = {"cases": (1000, "cases of one department"), "rounds": (100, "times that each page is opened")}
    wanted = command("bench.pages", "What the portal's pages cost.", **counts).parse_args()
    with scratch_folder() as scratch:
        asyncio.run(_measure(wanted.cases, wanted.rounds, scratch))
