"""The script of the pages: what it adds, beyond what works without it."""

from typing import Final

from playwright.async_api import expect

from demo.situations import Case
from demo.world import World
from tests.browser.conftest import AsPerson

_COUNT_SUBMITS: Final = """() => {
  window.sent = 0;
  document.querySelector('main form[data-once]').addEventListener('submit', event => {
    if (!event.defaultPrevented) window.sent += 1;
    event.preventDefault();
  });
}"""


async def test_a_second_press_sends_nothing_and_is_announced(
    as_person: AsPerson, world: World, situations: dict[str, Case]
) -> None:
    """Somebody who presses twice sends once, and hears that it is being sent."""
    assert "consent_asked" in situations
    maj = await as_person(world.made["maj"])
    await maj.open("/consents")
    await maj.follow("Læs og svar")
    await maj.page.evaluate(_COUNT_SUBMITS)
    button = maj.page.get_by_role("button", name="Send dit svar")
    await button.click()
    await button.click(force=True)

    assert await maj.page.evaluate("() => window.sent") == 1
    await expect(button).to_have_attribute("aria-disabled", "true")
    await expect(button).to_be_focused()
    await expect(maj.page.get_by_role("status")).to_have_text("Sender. Vent lidt.")


async def test_the_end_of_a_session_is_told_two_minutes_before(as_person: AsPerson, world: World) -> None:
    """Somebody who has done nothing for a while is told, and stays signed in by one press."""
    lars = await as_person(world.made["lars"])
    await lars.page.clock.install()
    await lars.open("/")
    notice = lars.page.get_by_role("alert")
    await lars.page.clock.run_for("27:50")
    await expect(notice).to_be_hidden()
    await lars.page.clock.run_for("00:15")

    await expect(notice).to_be_visible()
    await lars.follow("Bliv logget ind")
    await expect(notice).to_be_hidden()


async def test_back_asks_for_the_page_anew(as_person: AsPerson, world: World) -> None:
    """Back shows the page as it is now, and nothing to whom is signed out."""
    lars = await as_person(world.made["lars"])
    await lars.open("/figures")
    await lars.press("Log ud")
    await lars.page.go_back()

    await lars.sees_heading("Log ind")
