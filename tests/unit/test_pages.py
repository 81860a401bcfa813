"""Pages of the portal: each has a way to it, a template, roles and texts, and nothing is left over."""

import re

import pytest

from contracts.event import SERVICES
from services.kernel.issuer_settings import ROLES
from services.portal.pages import AREAS, PAGES
from services.portal.pages.page import Page
from services.portal.rendering import FOLDER
from services.publish.pages import FILE, document

OUTSIDE = {"problem.html", "frame/help.html", "frame/statement.html", "frame/leave.html"}
"""Templates of pages that need nobody to be signed in, besides those of sign-in."""

UNLISTED = {"/", "/sessions", "/cases/{case_id}"}
"""Pages that the frame leads to, and that of a case, to which its list does."""

USED = re.compile(r'{%-?\s*(?:extends|from|include|import)\s+"([^"]+)"')


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
def test_a_page_has_all_that_a_page_needs(page: Page) -> None:
    """A way to it, a title, roles that exist, an address of its own, and a handler for each command."""
    taken = {(found, command) for area in AREAS for found, command in area.commands()}

    assert page.title
    assert set(page.roles) <= ROLES
    assert page.menu or page.parent or page.path in UNLISTED, (
        f"{page.path}: neither in the menu nor below a page"
    )
    assert page.path.lstrip("/").partition("/")[0] not in SERVICES, f"{page.path}: begins as a service does"
    assert {(page, command) for command in page.commands} <= taken, f"{page.path}: a command nobody takes"
    assert not page.template or (FOLDER / page.template).exists(), f"{page.template} is not there"


def test_no_address_is_used_twice() -> None:
    """Two pages under one address would hide one of them."""
    paths = [page.path for page in PAGES]

    assert sorted(paths) == sorted(set(paths))


def test_every_template_has_a_page() -> None:
    """A template that no page shows and no other one uses is taken out."""
    written = {str(path.relative_to(FOLDER)): path.read_text("utf-8") for path in FOLDER.rglob("*.html")}
    parts = {used for text in written.values() for used in USED.findall(text)}
    outside = {name for name in written if name.startswith(("sign_in/", "components/", "gallery/"))}

    shown = {page.template for page in PAGES if page.template and not page.template.startswith("sign_in/")}
    assert written.keys() - parts - OUTSIDE - outside == shown


def test_the_table_of_pages_is_current() -> None:
    """The review of a new page is the change of this table."""
    assert FILE.read_text(encoding="utf-8") == document()
