"""Meanings and examples of the fields of events, requests and answers, from `fields.toml`."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

_FILE: Final = Path(__file__).with_name("fields.toml")
_EVERY: Final = "every"


@dataclass(frozen=True)
class Meaning:
    """What a field means, with an example where its type alone gives none that is true.

    `codes` are the words that a code has today; readers must expect words that are new to them.
    """

    text: str
    example: Any = None
    codes: tuple[str, ...] = ()


@cache
def meanings() -> Mapping[str, Mapping[str, Meaning]]:
    """Return all meanings: by schema or event, then by field; `every` holds for all of them."""
    tables = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    return {
        owner: {name: _meaning(entry) for name, entry in entries.items()} for owner, entries in tables.items()
    }


def meaning_of(owner: str, field: str) -> Meaning | None:
    """Return what a field of a schema or an event means; None where nobody has written it."""
    found = meanings()
    own = (table for name, table in found.items() if owner.endswith(name) and field in table)
    return next((table[field] for table in own), None) or found[_EVERY].get(field)


def _meaning(entry: str | list[Any]) -> Meaning:
    if isinstance(entry, str):
        return Meaning(entry)
    text, example, *codes = entry
    return Meaning(text, example, tuple(codes[0] if codes else ()))
