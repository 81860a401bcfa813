"""A watch over one page: console errors, reports of the policy, requests to elsewhere, axe and overflow."""

import json
from typing import Final

from playwright.async_api import BrowserContext, ConsoleMessage, Page, Request, Response

from tests.browser.axe import Undecided, axe_findings

_OVERFLOW: Final = """() => {
  const room = document.documentElement.clientWidth;
  const wide = document.documentElement.scrollWidth;
  if (wide <= room) return [];
  const scrolls = one => one.closest('[tabindex="0"][role="region"]');
  const out = [...document.querySelectorAll('body *')]
    .filter(one => one.getBoundingClientRect().right > room + 1 && !scrolls(one));
  return [`${wide} instead of ${room}`, ...out.slice(0, 5).map(one => one.outerHTML.slice(0, 120))];
}"""
_ON_VIOLATION: Final = """document.addEventListener('securitypolicyviolation', event =>
  console.error('CSP: ' + event.violatedDirective + ' ' + event.blockedURI));"""


class Watch:
    """What went wrong in a browser window since it was opened."""

    def __init__(self, address: str, *, own_colours: bool = True) -> None:
        """Take the address of the portal; whatever lies elsewhere is foreign.

        Where colours are those of the person's system, their contrast is the person's own choice.
        """
        self._own_colours = own_colours
        self.said: list[str] = []
        self.used: set[Undecided] = set()
        self._address = address
        self._refused: set[str] = set()

    async def begin(self, context: BrowserContext) -> None:
        """Watch all windows of a context from now on."""
        await context.add_init_script(_ON_VIOLATION)
        context.on("console", self._console)
        context.on("weberror", lambda error: self.said.append(f"script: {error.error}"))
        context.on("request", self._request)
        context.on("response", self._response)

    async def check(self, page: Page, *, script: bool = True) -> None:
        """Note what axe finds on the page as it is now, and what is wider than the window.

        Without script axe never comes to an end: the same pages are given to it with script.
        """
        await self.check_width(page)
        if script:
            found = await axe_findings(page, contrast=self._own_colours)
            self.said += [f"{page.url}: {line}" for line in found.said]
            self.used |= found.used

    async def check_width(self, page: Page) -> None:
        """Note what is wider than the window."""
        self.said += [f"{page.url}: too wide: {line}" for line in await page.evaluate(_OVERFLOW)]

    async def check_large_text(self, page: Page) -> None:
        """Note what does not fit when letters are twice as large, as WCAG 1.4.4 asks."""
        size = await page.evaluate("() => getComputedStyle(document.documentElement).fontSize")
        double = json.dumps(f"{2 * float(size.removesuffix('px'))}px")
        await page.evaluate(
            f"() => document.documentElement.style.setProperty('font-size', {double}, 'important')"
        )
        self.said += [f"{page.url}: too wide at 200 %: {line}" for line in await page.evaluate(_OVERFLOW)]
        await page.evaluate("() => document.documentElement.style.removeProperty('font-size')")

    def _console(self, message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning"}:
            return
        url = message.location["url"]
        if message.text.startswith("Failed to load resource") and url in self._refused:
            return  # a page that says 404 or 422 is shown, and its status is asserted by the journey
        self.said.append(f"console {message.type}: {message.text} ({url})")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self._address, "data:", "blob:")):
            self.said.append(f"foreign request: {request.url}")

    def _response(self, response: Response) -> None:
        if response.status >= 400 and response.request.is_navigation_request():
            self._refused.add(response.url)
