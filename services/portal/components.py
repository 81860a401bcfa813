"""Components of the pages: one macro a file, and beside it what it is for and its examples."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parent / "templates" / "components"
SHARED: Final = frozenset({"field_parts"})
"""Files of macros that only components use."""


@dataclass(frozen=True)
class Example:
    """One use of a component; `inside` is the text within it, for a component around others."""

    component: str
    name: str
    arguments: dict[str, Any]
    inside: str | None = None

    def of(self, parameters: Sequence[str]) -> dict[str, Any]:
        """Return the arguments for a macro of these parameters; ids are unique on a page of many examples."""
        own = f"gallery-{self.component}-{self.name}"
        ids = {"id": own} if "id" in parameters else {}
        names = {"name": own} if self.arguments.get("name") == "" else {}
        return {**self.arguments, **ids, **names}


@dataclass(frozen=True)
class Component:
    """A macro: what it is for, what it does for accessibility, and examples of its use."""

    name: str
    use: str
    accessibility: tuple[str, ...]
    examples: tuple[Example, ...]


def components() -> list[Component]:
    """Return every component by name."""
    names = sorted(file.stem for file in FOLDER.glob("*.html"))
    return [_component(name) for name in names if name not in SHARED]


def _component(name: str) -> Component:
    document = tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    examples = tuple(Example(name, key, **value) for key, value in document["examples"].items())
    return Component(name, document["use"], tuple(document["accessibility"]), examples)
