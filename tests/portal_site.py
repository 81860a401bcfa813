"""The portal behind an HTTP port, and the browser of one person who opens its pages."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin

import aiohttp
from fastapi import APIRouter

from services.kernel.http.application import mount
from services.kernel.http.authentication import TokenVerifier
from services.kernel.http.server import app_of, listening_socket, serve
from services.kernel.http.sites import open_sites
from services.kernel.runtime.runtime import Runtime
from services.portal.app import SERVICE
from tests.issuers import AUDIENCE
from tests.tally import running
from tests.waiting import until

_HTML: Final = {"Accept": "text/html,application/xhtml+xml", "Accept-Language": "en"}


@dataclass
class Seen:
    """A page as a browser has it."""

    status: int
    url: str
    text: str
    headers: dict[str, str]

    @property
    def title(self) -> str:
        """The title of the page, without the name of the site."""
        found = re.search(r"<title>(.*?)</title>", self.text, re.DOTALL)
        return unescape(found[1]).partition(" \N{EN DASH} ")[0] if found else ""

    def link(self, words: str) -> str:
        """Return where a link with these words leads."""
        found = re.search(rf'<a[^>]* href="([^"]+)"[^>]*>[^<]*{re.escape(words)}', self.text)
        assert found, (words, self.text)
        return unescape(found[1])

    def hidden(self, name: str) -> str:
        """Return the value of the first hidden field of a name in the main part of the page."""
        found = re.search(rf'name="{name}" value="([^"]*)"', self.text.partition("<main")[2])
        assert found, (name, self.text)
        return unescape(found[1])


@dataclass
class Browser:
    """A browser with cookies; it follows redirects within the site and beyond only when told."""

    address: str
    session: aiohttp.ClientSession
    headers: dict[str, str] = field(default_factory=dict)

    async def open(self, path: str, *, follow: bool = True) -> Seen:
        """Open an address, and follow where it leads within the site."""
        return await self._send("GET", path, follow=follow)

    async def send(self, path: str, *, follow: bool = True, **fields: str) -> Seen:
        """Send a form as a page of the site does."""
        return await self._send("POST", path, follow=follow, data=fields)

    async def _send(self, method: str, path: str, *, follow: bool, **more: Any) -> Seen:
        url = urljoin(self.address, path)
        for _ in range(10):
            same_site = {"Sec-Fetch-Site": "same-origin"}
            async with self.session.request(
                method, url, headers={**_HTML, **same_site, **self.headers}, allow_redirects=False, **more
            ) as answer:
                text = await answer.text()
            leads = answer.headers.get("location")
            if leads is None or not follow or not urljoin(url, leads).startswith(self.address):
                return Seen(
                    answer.status, leads or url, text, {k.lower(): v for k, v in answer.headers.items()}
                )
            method, url, more = "GET", urljoin(url, leads), {}
        raise AssertionError(url)


@dataclass
class PortalSite:
    """The portal while it is served."""

    address: str
    runtime: Runtime

    @asynccontextmanager
    async def browser(self, **headers: str) -> AsyncIterator[Browser]:
        """Lend a browser without cookies."""
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            yield Browser(self.address, session, headers)


@asynccontextmanager
async def portal_site(
    dsn: str,
    folder: Path,
    *,
    settings_at: Callable[[str], dict[str, Any]],
    routes_at: Callable[[str], APIRouter],
) -> AsyncIterator[PortalSite]:
    """Serve the portal on a port of the loopback address, with settings and more routes for that address."""
    stopping, listener = asyncio.Event(), listening_socket("127.0.0.1", 0)
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    settings = {"public_url": address, "portal_key": folder / "portal.json", **settings_at(address)}
    async with running(dsn, "", "none", SERVICE, **settings) as runtime:
        app = app_of([SERVICE])
        app.include_router(routes_at(address))
        mount(app, {SERVICE.name: runtime}, TokenVerifier([], AUDIENCE))
        async with open_sites(app, {SERVICE.name: runtime}):
            serving = asyncio.create_task(serve(app, listener, runtime.settings, stopping=stopping))
            try:
                await until(lambda: _answers(address))
                yield PortalSite(address, runtime)
            finally:
                stopping.set()
                await serving


async def _answers(address: str) -> bool:
    try:
        async with aiohttp.ClientSession() as session, session.get(f"{address}/live") as answer:
            return answer.status == 200
    except aiohttp.ClientConnectorError:
        return False
