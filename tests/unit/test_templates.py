"""Walls around the templates, by Jinja's own lexer: every word translated, nothing inline, nothing unused."""

import re
from pathlib import Path
from typing import Final

import pytest

from services.portal.rendering import FOLDER
from services.portal.static_files import FOLDER as STATIC
from tests.template_reader import Template, read_template

TEMPLATES: Final = sorted(FOLDER.rglob("*.html"))
ALLOWED: Final[dict[tuple[str, str], str]] = {
    ("base.html", "not translated: 'Samspil'"): "the name of the product is the same in every language",
    (
        "components/field_parts.html",
        """not translated: 'aria-describedby="'""",
    ): "a macro that writes an attribute",
    (
        "components/field_parts.html",
        """not translated: '"\\n aria-invalid="true"'""",
    ): "a macro that writes an attribute",
}
"""Findings that are right, with the reason; one that no longer occurs fails."""
DESIGN_SYSTEM: Final = frozenset(
    re.findall(r"\.([a-z][\w-]*)", (STATIC / "vendor/dkfds/css/dkfds.min.css").read_text(encoding="utf-8"))
)
"""Class names of the design system, which components alone may write."""


@pytest.fixture(scope="module")
def found() -> dict[str, list[str]]:
    """Return what is wrong with each template, by its name."""
    return {str(path.relative_to(FOLDER)): _findings(path) for path in TEMPLATES}


def test_templates_are_whole(found: dict[str, list[str]]) -> None:
    """Words are translated, nothing is inline or marked as safe, imports are used, pages have titles."""
    said = [
        f"{name}: {one}" for name, all_of in found.items() for one in all_of if (name, one) not in ALLOWED
    ]

    assert not said, "\n".join(said)


def test_no_exception_has_outlived_its_reason(found: dict[str, list[str]]) -> None:
    """What is allowed still occurs."""
    assert [key for key in ALLOWED if key[1] not in found.get(key[0], [])] == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<p>Hello {{ name }}</p>", "not translated: 'Hello'"),
        ('<p title="Hello">{{ _("Hello") }}</p>', "not translated: 'Hello'"),
        ('<img src="{{ static("a.svg") }}" alt="A cat">', "not translated: 'A cat'"),
        ("<script>alert(1)</script>", "inline script"),
        ("<style>p {}</style>", "inline style"),
        ('<p style="color: red">{{ x }}</p>', "inline style"),
        ('<a onclick="x()" href="/">{{ x }}</a>', "inline handler: onclick"),
        ('<a href="javascript:x()">{{ x }}</a>', "inline script"),
        ("{{ x|safe }}", "marks a text as safe"),
        ("{% autoescape false %}{{ x }}{% endautoescape %}", "turns escaping off"),
        ('{% from "components/tag.html" import tag %}', "imports what it does not use: tag"),
        ('{% extends "base.html" %}{% block content %}{% endblock %}', "has no block title"),
        (
            '<form action="https://elsewhere.example/">{{ x }}</form>',
            "leads elsewhere: https://elsewhere.example/",
        ),
        ('<p class="button-primary">{{ x }}</p>', "class of the design system: button-primary"),
    ],
)
def test_a_broken_template_is_found(text: str, said: str) -> None:
    """Each wall has one template that runs into it."""
    assert said in _of(read_template(text), component=False)


@pytest.mark.parametrize(
    "text",
    [
        '<script src="{{ static("portal.js") }}" defer></script>',
        '<p lang="en">{{ _("Hello") }} · {{ name }}: 12 %</p>',
        '{% if x is defined %}<p class="own-{{ kind }}">{{ x }}</p>{% endif %}',
        '{% from "components/tag.html" import tag as label %}{{ label(x) }}',
    ],
)
def test_a_good_template_passes(text: str) -> None:
    """The walls leave alone what is right."""
    assert _of(read_template(text), component=False) == []


def _findings(path: Path) -> list[str]:
    template = read_template(path.read_text(encoding="utf-8"))
    return _of(template, component=path.parent.name == "components")


def _of(template: Template, *, component: bool) -> list[str]:
    said = [f"not translated: {word!r}" for word in template.words] + template.faults
    if not component:
        used = sorted(template.classes & DESIGN_SYSTEM)
        said += [f"class of the design system: {name}" for name in used]
    return said
