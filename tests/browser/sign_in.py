"""Sign-in through the pages, with the pretended provider's card of a made-up person."""

from typing import Protocol

from tests.browser.somebody import Somebody


class Signs(Protocol):
    """What is needed of a made-up person to sign in: the name on the card."""

    @property
    def name(self) -> str:
        """The name on the card of the pretended provider."""


async def sign_in(somebody: Somebody, person: Signs) -> None:
    """Sign a person in, whatever the language of the pages."""
    somebody.name = person.name
    await somebody.open("/sign-in")
    page = somebody.page
    async with page.expect_navigation(url="**/development/oidc/**"):
        await page.locator("main a[href*='/sign-in/start']").first.click()
    async with page.expect_navigation():
        await page.get_by_role("button", name=person.name).first.click()
