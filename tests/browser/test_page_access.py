"""People against pages: what is not theirs looks like what is not there; other roles' pages are shut."""

import re
from typing import Final

import pytest

from demo.situations import Case
from demo.world import World
from services.kernel.ids import new_id
from services.portal.pages import PAGES
from services.portal.pages.page import Page
from tests.browser.conftest import AsPerson

PEOPLE: Final = ("ida", "uno", "kim", "eva", "maj", "parent4", "ung", "lars", "rita", "anne", "bodil", "otto")
_PART: Final = re.compile(r"{(\w+)}")
_PARTS_WITHOUT_ID: Final = frozenset({"name"})


def _address(page: Page, case_id: str) -> str:
    """Return a page's address with the id of a case, and ids of nothing for what else it names."""
    return _PART.sub(lambda found: case_id if found[1] == "case_id" else str(new_id()), page.path)


@pytest.mark.parametrize("subject", PEOPLE)
@pytest.mark.usefixtures("situations")
async def test_a_page_of_another_role_is_shut(as_person: AsPerson, world: World, subject: str) -> None:
    """Every page that is not a role's says so, before any service is asked."""
    somebody = await as_person(world.made[subject])
    role = world.made[subject].person.role
    shut = [page for page in PAGES if role not in page.roles]

    for page in shut:
        answer = await somebody.context.request.get(somebody.address + _address(page, str(new_id())))
        assert answer.status == 403, page.path
    assert shut


@pytest.mark.parametrize("subject", PEOPLE)
async def test_what_is_foreign_looks_like_what_is_not_there(
    as_person: AsPerson, world: World, situations: dict[str, Case], subject: str
) -> None:
    """A page of somebody else's case is 404, word for word as one of no case at all."""
    somebody = await as_person(world.made[subject])
    role = world.made[subject].person.role
    foreign = str(situations[_FOREIGN[subject]].case_id) if subject in _FOREIGN else str(new_id())

    for page in PAGES:
        named = set(_PART.findall(page.path))
        if role not in page.roles or not named or named <= _PARTS_WITHOUT_ID:
            continue
        texts = []
        for case_id in (foreign, str(new_id())):
            answer = await somebody.context.request.get(
                somebody.address + _address(page, case_id), headers={"Accept": "text/html"}
            )
            assert answer.status == 404, (page.path, answer.status)
            texts.append(re.sub(r'name="then" value="[^"]*"', "", await answer.text()))
        assert _without_keys(texts[0]) == _without_keys(texts[1]), page.path


def _without_keys(text: str) -> str:
    """Leave out the keys of forms and the ids of the address, which differ each time."""
    return re.sub(r'value="[^"]*"|[0-9a-f]{8}-[0-9a-f-]{27}', "", text)


_FOREIGN: Final = {
    "uno": "under_way",
    "eva": "under_way",
    "kim": "consent_asked",
    "maj": "under_way",
    "parent4": "consent_asked",
    "ung": "under_way",
}
"""A situation that is somebody else's: another department's, organisation's or family's."""
