"""Somebody at a browser: opens, follows, writes, chooses and presses as their manner has it."""

import re
from typing import Final

from playwright.async_api import BrowserContext, Locator, Page, Response, expect

from tests.browser.manner import Manner
from tests.browser.watch import Watch

_MOST_STOPS: Final = 200
_OUTLINED: Final = """() => {
  const style = one => getComputedStyle(one);
  const seen = one => one && style(one).outlineStyle !== 'none' && parseFloat(style(one).outlineWidth) >= 2;
  const one = document.activeElement;
  const needless = one === document.body || one.matches('main, .error-summary');
  return needless || seen(one) || seen(one.nextElementSibling);
}"""
_SAME_GROUP: Final = """one => {
  const at = document.activeElement;
  return one.type === 'radio' && at.type === 'radio' && one.name === at.name && one !== at;
}"""


class Somebody:
    """A person at a browser window; things are found by role and visible name only."""

    def __init__(self, address: str, context: BrowserContext, page: Page, manner: Manner) -> None:
        """Take an open window."""
        self.address = address
        self.context = context
        self.page = page
        self.manner = manner
        self.name = ""
        self.watch = Watch(address, own_colours=not manner.forced_colors)

    async def open(self, path: str) -> Response:
        """Open an address of the portal."""
        response = await self.page.goto(f"{self.address}{path}")
        assert response is not None
        return response

    async def follow(self, name: str) -> None:
        """Follow a link."""
        await self._activate(self._one("link", name))

    async def press(self, name: str) -> None:
        """Press a button, and see the page that comes."""
        await self._activate(self._one("button", name))

    async def confirm(self) -> None:
        """Sign in once more, with more security, as the person who is signed in."""
        page = self.page
        async with page.expect_navigation(url="**/development/oidc/**"):
            await page.locator("main a[href*='/sign-in/start']").first.click()
        async with page.expect_navigation():
            await page.get_by_role("button", name=self.name).first.click()

    async def write(self, label: str, text: str) -> None:
        """Write into a field, instead of what stood there."""
        field = self.page.get_by_label(label, exact=True)
        if not self.manner.keyboard:
            await field.fill(text)
            return
        await self._reach(field)
        await self.page.keyboard.press("ControlOrMeta+A")
        await self.page.keyboard.insert_text(text)

    async def choose(self, answer: str, *, question: str = "") -> None:
        """Choose one answer of a question (radio buttons)."""
        await self._tick("radio", answer, question)

    async def tick(self, answer: str, *, question: str = "") -> None:
        """Tick a box."""
        await self._tick("checkbox", answer, question)

    async def select(self, label: str, answer: str) -> None:
        """Choose from a list."""
        field = self.page.get_by_label(label, exact=True)
        if self.manner.keyboard:
            await self._reach(field)
        await field.select_option(label=answer)

    async def sees(self, words: str) -> None:
        """Wait until words stand on the page."""
        await expect(self.page.get_by_text(words).first).to_be_visible()

    async def sees_heading(self, words: str) -> None:
        """Wait until the page has this heading."""
        await expect(self.page.get_by_role("heading", name=words).first).to_be_visible()

    async def saved(self, link: str, name: str) -> bytes:
        """Return the file behind a link, which the browser is to keep under this name."""
        address = await self.page.get_by_role("link", name=link, exact=True).get_attribute("href")
        answer = await self.context.request.get(f"{self.address}{address}")
        assert answer.status == 200
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
        return await answer.body()

    async def sees_panel(self, words: str) -> None:
        """Wait until the page says that something has been done."""
        await expect(self.page.get_by_role("status").filter(has_text=words)).to_be_visible()

    async def sees_error(self, words: str) -> None:
        """Wait until the summary of errors says this; with script it has the focus."""
        summary = self.page.get_by_role("alert").filter(has_text=words)
        await expect(summary).to_be_visible()
        await expect(self.page).to_have_title(re.compile(r"^(Fejl|Feil|Error): "))
        if self.manner.script:
            await expect(summary).to_be_focused()

    async def does_not_see(self, words: str, *, beside: str) -> None:
        """Assert an absence, once something that must stand beside it is there."""
        await self.sees(beside)
        await expect(self.page.get_by_text(words)).to_have_count(0)

    async def fits(self) -> None:
        """Check that nothing is wider than the window."""
        await self.watch.check_width(self.page)

    async def settles(self) -> None:
        """Check the page as it is now; at the end of a test this happens by itself."""
        await self.watch.check(self.page, script=self.manner.script)

    def _one(self, role: str, name: str) -> Locator:
        return self.page.get_by_role(role, name=name, exact=True)  # type: ignore[arg-type]  # one of ARIA's words

    async def _tick(self, role: str, answer: str, question: str) -> None:
        within = self.page.get_by_role("group", name=question) if question else self.page
        box = within.get_by_role(role, name=answer, exact=True)  # type: ignore[arg-type]  # one of ARIA's words
        if not self.manner.keyboard:
            await box.check(force=True)  # the design system draws the box on its label
            return
        await self._reach(box)
        if not await box.is_checked():
            await self.page.keyboard.press("Space")

    async def _activate(self, target: Locator) -> None:
        async with self.page.expect_navigation():
            if self.manner.keyboard:
                await self._reach(target)
                await self.page.keyboard.press("Enter")
            else:
                await target.click()

    async def _reach(self, target: Locator) -> None:
        """Go to an element as the keyboard does, and see at each stop where one is."""
        await expect(target).to_be_visible()
        for _ in range(_MOST_STOPS):
            if await target.evaluate("one => one === document.activeElement"):
                return
            same_group = await target.evaluate(_SAME_GROUP)
            await self.page.keyboard.press("ArrowDown" if same_group else "Tab")
            if not await self.page.evaluate(_OUTLINED):
                where = await self.page.evaluate("() => document.activeElement.outerHTML.slice(0, 200)")
                self.watch.said.append(f"{self.page.url}: no outline where the focus is: {where}")
        raise AssertionError(f"the keyboard does not reach {target}")
