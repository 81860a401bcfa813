"""A crawl: from the start page along the links, until each page that somebody may open was seen once."""

import re
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

from services.portal.pages import PAGES
from services.portal.pages.page import Page
from tests.browser.somebody import Somebody

_LINKS: Final = "() => [...document.querySelectorAll('a[href]:not([download])')].map(link => link.href)"
_FILE: Final = re.compile(r"\.[a-z]{3,4}$")
"""How the address of a file ends, which a browser keeps and does not show."""

_PATTERNS: Final = [(page, re.compile(re.sub(r"{\w+}", "[^/]+", page.path))) for page in PAGES]


def page_of(path: str) -> Page | None:
    """Return the page at an address; one without a part of an id goes before one with it."""
    found = [page for page, pattern in _PATTERNS if pattern.fullmatch(path)]
    return min(found, key=lambda page: page.path.count("{"), default=None)


async def crawl(somebody: Somebody, look: Callable[[Page, str], Awaitable[None]]) -> dict[Page, str]:
    """Open each page once, call `look` with it and its text, and return the addresses by page.

    A link that leads a person to a page which they may not open is a fault of the page that has it.
    """
    seen: dict[Page, str] = {}
    ahead = [("/", "")]
    while ahead:
        path, beside = ahead.pop(0)
        page = page_of(path)
        if page is None or page in seen:
            continue
        answer = await somebody.open(path)
        assert answer.ok, f"{answer.status} at {path}, which is linked from {beside}"
        seen[page] = path
        await look(page, await answer.text())
        ahead += [(urlsplit(link).path, path) for link in await _links(somebody)]
    return seen


async def _links(somebody: Somebody) -> list[str]:
    links: list[str] = await somebody.page.evaluate(_LINKS)
    own = [link for link in links if link.startswith(somebody.address)]
    return [link for link in own if not _FILE.search(urlsplit(link).path)]
