"""A template as a reader meets it: its own words, its classes, and what must not stand in one.

Jinja's lexer gives the text in order; an expression becomes a placeholder, so that `html.parser` reads on.
"""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final

from jinja2 import nodes

from services.portal.rendering import template_environment

_PLACEHOLDER: Final = "\N{OBJECT REPLACEMENT CHARACTER}"
_SPOKEN: Final = frozenset(
    {"alt", "aria-label", "aria-description", "placeholder", "title", "label", "data-text"}
)
_WORD: Final = re.compile(r"[^\W\d_]")
_PATH: Final = re.compile(r"(/[\w-]*)+")
_LANGUAGES: Final = frozenset({"Dansk", "Norsk", "English"})


@dataclass
class Template:
    """What was read of a template."""

    words: list[str] = field(default_factory=list)
    classes: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)


def read_template(source: str) -> Template:
    """Return what stands in a template."""
    found = Template()
    reader = _Reader(found)
    reader.feed(_text(source))
    reader.close()
    _inspect(source, found)
    return found


def _text(source: str) -> str:
    """Return the text of a template, with a placeholder for each expression."""
    parts: list[str] = []
    for _line, kind, value in template_environment().lex(source):
        if kind == "data":
            parts.append(value)
        elif kind == "variable_begin":
            parts.append(_PLACEHOLDER)
    return "".join(parts)


class _Reader(HTMLParser):
    def __init__(self, found: Template) -> None:
        super().__init__()
        self._found = found
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self._inside = tag if tag in {"script", "style"} and "src" not in values else ""
        if self._inside:
            self._found.faults.append(f"inline {tag}")
        for name, value in values.items():
            self._attribute(name, value)

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002  html.parser gives it
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self._speak(data)

    def _attribute(self, name: str, value: str) -> None:
        faults = self._found.faults
        if name.startswith("on"):
            faults.append(f"inline handler: {name}")
        if name == "style":
            faults.append("inline style")
        if name in {"href", "src", "action", "formaction"} and re.match(r"\s*(https?:)?//", value):
            faults.append(f"leads elsewhere: {value}")
        if name in {"href", "src", "action", "formaction"} and re.match(r"\s*(javascript|data):", value):
            faults.append("inline script")
        if name == "class":
            self._found.classes |= {one for one in value.split() if _PLACEHOLDER not in one}
        if name in _SPOKEN:
            self._speak(value)

    def _speak(self, text: str) -> None:
        for part in text.split(_PLACEHOLDER):
            word = part.strip()
            if _WORD.search(word) and word not in _LANGUAGES and not _PATH.fullmatch(word):
                self._found.words.append(word)


def _inspect(source: str, found: Template) -> None:
    """Note what the template's own grammar shows."""
    tree = template_environment().parse(source)
    if any(one.name in {"safe", "Markup"} for one in tree.find_all(nodes.Filter)):
        found.faults.append("marks a text as safe")
    if any(True for _ in tree.find_all(nodes.ScopedEvalContextModifier)):
        found.faults.append("turns escaping off")
    used = {one.name for one in tree.find_all(nodes.Name) if one.ctx == "load"}
    for one in tree.find_all(nodes.FromImport):
        names = [name if isinstance(name, str) else name[1] for name in one.names]
        unused = [name for name in names if name not in used]
        found.faults += [f"imports what it does not use: {name}" for name in unused]
    parents = [one.template for one in tree.find_all(nodes.Extends)]
    blocks = {one.name for one in tree.find_all(nodes.Block)}
    whole = any(isinstance(one, nodes.Const) and one.value == "base.html" for one in parents)
    if whole and "title" not in blocks:
        found.faults.append("has no block title")
