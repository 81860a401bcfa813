"""The gallery: every component in every example, in three languages, wide and on a phone."""

import pytest

from contracts.model_parts import LANGUAGES
from tests.browser.axe import known_undecided
from tests.browser.conftest import Window
from tests.browser.manner import PHONE, WIDE, Manner

GALLERY = "/gallery"


async def test_components_are_accessible_in_every_language_and_width(window: Window) -> None:
    """No component breaks a rule, writes to the console, asks elsewhere, or is wider than a phone."""
    used = set()
    for language in LANGUAGES:
        for width in (WIDE, PHONE):
            one = await window(Manner(f"{language}-{width}", width=width, language=language))
            await one.open(GALLERY)
            await one.settles()
            used |= one.watch.used

    assert used == set(known_undecided()), "a kind in undecided.toml is needed no more"


@pytest.mark.parametrize("manner", [Manner("large text")], indirect=True)
async def test_letters_may_be_twice_as_large(window: Window) -> None:
    """At 200 % nothing is cut off and nothing leaves the window (WCAG 1.4.4)."""
    one = await window()
    await one.open(GALLERY)
    await one.watch.check_large_text(one.page)


@pytest.mark.parametrize("manner", [Manner("forced colours", forced_colors=True)], indirect=True)
async def test_components_keep_their_meaning_in_forced_colours(window: Window) -> None:
    """Somebody who needs their own colours sees the same."""
    one = await window()
    await one.open(GALLERY)
    await one.sees_heading("error_summary")
