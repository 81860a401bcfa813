"""Every page of every role: accessible, valid, on a phone too, and kept as a picture where that is wished.

`make screens` sets `SCREENS` to a folder, and lets every person see every language, with axe at both widths;
else each person sees one language, with axe at one width.
"""

import os
from pathlib import Path
from typing import Final

import pytest

from contracts.model_parts import LANGUAGES
from demo.world import World
from services.portal.pages import PAGES
from services.portal.pages.page import Page
from tests.browser.conftest import AsPerson
from tests.browser.crawl import crawl
from tests.browser.manner import PHONE, WIDE, Manner
from tests.browser.somebody import Somebody
from tests.html_validate import html_findings

SCREENS: Final = os.environ.get("SCREENS", "")
PEOPLE: Final = ("ida", "kim", "maj", "ung", "lars", "rita", "anne", "bodil", "otto", "parent4")
_HEIGHTS: Final = {WIDE: 900, PHONE: 640}


def _visits() -> list[tuple[str, Manner]]:
    """Return who sees the pages in which language: each person one, or all where pictures are wished."""
    seen = [
        (subject, language)
        for number, subject in enumerate(PEOPLE)
        for language in (LANGUAGES if SCREENS else (LANGUAGES[number % len(LANGUAGES)],))
    ]
    return [(subject, Manner(language, language=language)) for subject, language in seen]


@pytest.mark.parametrize(
    ("subject", "manner"),
    _visits(),
    ids=[f"{subject}-{manner.name}" for subject, manner in _visits()],
    indirect=["manner"],
)
@pytest.mark.usefixtures("situations")
async def test_every_page_of_a_person_is_whole(
    as_person: AsPerson, world: World, subject: str, manner: Manner, tmp_path: Path
) -> None:
    """Along the links from the start page nothing is refused, and no page breaks a rule at any width."""
    somebody = await as_person(world.made[subject])
    texts: dict[str, str] = {}
    thorough = (WIDE, PHONE)[PEOPLE.index(subject) % 2]

    async def look(page: Page, text: str) -> None:
        texts[page.path] = text
        for width, height in _HEIGHTS.items():
            await somebody.page.set_viewport_size({"width": width, "height": height})
            await (somebody.settles() if SCREENS or width == thorough else somebody.fits())
            await _keep(somebody, Path(subject) / f"{_name(page)}-{manner.language}-{width}.png")

    seen = await crawl(somebody, look)
    role = world.made[subject].person.role

    assert {page for page in PAGES if page.menu and role in page.roles} <= set(seen)
    assert html_findings(texts, tmp_path) == []


async def _keep(somebody: Somebody, name: Path) -> None:
    if SCREENS:
        await somebody.page.screenshot(path=Path(SCREENS) / name, full_page=True)


def _name(page: Page) -> str:
    return page.template.removesuffix(".html").replace("/", "-")
