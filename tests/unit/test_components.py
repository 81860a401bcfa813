"""The components of the pages: one macro a file, with examples, and alone in knowing the design system."""

import re
from pathlib import Path
from typing import Any, Final

import pytest
from jinja2 import nodes

from services.portal.components import FOLDER, SHARED, Component, components
from services.portal.rendering import FOLDER as TEMPLATES
from services.portal.rendering import Renderer, template_environment

ALL: Final = {one.name: one for one in components()}
GALLERY_ALONE: Final[dict[str, str]] = {
    "action": "for pages of answers that say which commands would be taken",
    "badge": "for the inbox in the menu",
    "step_indicator": "for forms of several pages",
}
"""Components that no template calls yet, with what is going to."""
OF_LISTS: Final = {"items", "rows", "options", "errors", "bars"}
OF_WORDS: Final = {"text", "label", "title", "caption", "name"}


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    """Return a renderer of all languages."""
    return Renderer()


def test_every_macro_has_its_own_file_and_a_name_of_its_own() -> None:
    """A component is found by its name, and nobody writes a second one."""
    macros: dict[str, list[str]] = {}
    for path in TEMPLATES.rglob("*.html"):
        for name in _macros(path):
            macros.setdefault(name, []).append(str(path.relative_to(TEMPLATES)))

    assert {name: places for name, places in macros.items() if len(places) > 1 and name in ALL} == {}
    for name in ALL:
        assert macros[name] == [f"components/{name}.html"]
        assert list(_macros(FOLDER / f"{name}.html")) == [name], "one macro a file"


def test_every_component_has_its_document_and_the_reverse() -> None:
    """What a component is for stands beside it."""
    written = {path.stem for path in FOLDER.glob("*.toml")}

    assert written == set(ALL)
    assert all(one.use.endswith(".") and one.accessibility for one in ALL.values())


@pytest.mark.parametrize("component", ALL.values(), ids=ALL)
def test_a_component_has_the_examples_that_find_faults(component: Component) -> None:
    """Nothing, a long word, markup in a text, and an error are tried where a component can have them."""
    parameters = _macros(FOLDER / f"{component.name}.html")[component.name]
    wanted = {"long_word", "markup"} if OF_WORDS & set(parameters) else set()
    wanted |= {"error"} if "error" in parameters else set()
    wanted |= {"empty"} if OF_LISTS & set(parameters[:3]) else set()

    assert component.examples
    assert wanted <= {example.name for example in component.examples}


@pytest.mark.parametrize("component", ALL.values(), ids=ALL)
def test_markup_in_a_text_stays_a_text(component: Component, renderer: Renderer) -> None:
    """What somebody types never becomes part of the page."""
    html = renderer.render("gallery/gallery.html", "da", {**FRAME, "components": [component]})

    assert "<script>alert" not in html
    assert "<b>Bold" not in html


def test_every_component_is_used() -> None:
    """A component that no page needs is dropped."""
    called = {
        name
        for path in TEMPLATES.rglob("*.html")
        if path.parent.name != "gallery"
        for name in re.findall(r'from "components/(\w+)\.html" import', path.read_text(encoding="utf-8"))
    }

    assert set(ALL) - called == set(GALLERY_ALONE)
    assert called - set(ALL) == SHARED


def _macros(path: Path) -> dict[str, list[str]]:
    tree = template_environment().parse(path.read_text(encoding="utf-8"))
    return {macro.name: [arg.name for arg in macro.args] for macro in tree.find_all(nodes.Macro)}


FRAME: Final[dict[str, Any]] = {
    "title": "Components",
    "page": None,
    "person": None,
    "menu": [],
    "path": "/gallery",
    "errors": [],
    "done": "",
    "development": True,
    "municipality": "",
    "colours_url": "",
    "idle_seconds": 0,
    "changes": "",
}
