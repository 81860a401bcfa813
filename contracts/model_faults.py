"""Faults of a collaboration model, worded so that its author can mend them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from textwrap import shorten
from typing import Final, get_args

from pydantic import BaseModel, ValidationError

from contracts.model_parts import LANGUAGES, Part
from contracts.toml_lines import KeyPath, Lines

_IN_WORDS: Final = {
    r"\S": "write the words",
    r"^[a-z][a-z0-9_]{0,63}$": "a code is small letters a to z, then also digits and _, 64 at most",
    r"^[0-9]{4}$": "a municipality's official code has four digits",
    r"^[0-9]{2}-[0-9]{2}$": "write month and day, such as 12-24",
    r"^[a-z]{2}$": "a country is two small letters, such as dk",
    r"^[A-Z]{2}$": "a calendar is two capital letters, such as DK",
}
"""What a pattern of the format requires."""


@dataclass(frozen=True, order=True)
class Fault:
    """One thing that is wrong: in which file and line, at which key, and what would be right."""

    file: Path
    line: int
    key: str
    wrong: str
    right: str

    def __str__(self) -> str:
        """Return the fault as one line."""
        return f"{self.file}:{self.line}: {self.key or 'the file'}: {self.wrong}; {self.right}"


def syntax_fault(path: Path, unreadable: Exception) -> Fault:
    """Return why a file is no TOML text at all."""
    line = re.search(r"at line (\d+)", str(unreadable))
    return Fault(
        path, int(line[1]) if line else 1, "", f"cannot be read ({unreadable})", "write TOML 1.0 in UTF-8"
    )


def faults_of(path: Path, text: str, kind: type[BaseModel], invalid: ValidationError) -> set[Fault]:
    """Return what is missing, unknown or out of bounds."""
    lines = Lines(text)
    errors = invalid.errors(include_url=False)
    around = {error["loc"][:length] for error in errors for length in range(len(error["loc"]))}
    found = set()
    for error in errors:
        key_path, sort = error["loc"], error["type"]
        if sort == "too_short" and key_path in around:
            continue  # a list is not short for its bad items
        advice = _IN_WORDS.get(error.get("ctx", {}).get("pattern", ""), error["msg"])
        wrong, right = _explained(kind, key_path, sort, error["input"], advice)
        found.add(Fault(path, lines.of(key_path), dotted(key_path), wrong, right))
    return found


def _explained(
    kind: type[BaseModel], key_path: KeyPath, sort: str, value: object, advice: str
) -> tuple[str, str]:
    """Return what is wrong and what would be right."""
    *around, key = key_path or ("",)
    keys = _keys_at(kind, tuple(around))
    match sort:
        case "missing" if set(keys) == set(LANGUAGES):
            return f'the translation "{key}" is missing', f'write {key} = "…" beside the other languages'
        case "missing":
            return "is missing", f"add it; here belong {', '.join(keys)}"
        case "extra_forbidden":
            return "is not known", nearest(str(key), keys)
        case "string_pattern_mismatch":
            return f"is {value!r}", advice
        case _:
            return f"is {shorten(repr(value), 60)}", advice.removeprefix("Value error, ")


def _keys_at(kind: type[BaseModel], key_path: KeyPath) -> tuple[str, ...]:
    """Return the keys of the format at a path."""
    for step in key_path:
        if isinstance(step, str) and step in kind.model_fields:
            kind = _part_in(kind.model_fields[step].annotation) or kind
    return tuple(kind.model_fields)


def _part_in(annotation: object) -> type[Part] | None:
    """Return the part that an annotation is about, also as the items of a tuple."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return annotation
    return next((part for inner in get_args(annotation) if (part := _part_in(inner))), None)


def nearest(wrong: str, right: Iterable[str]) -> str:
    """Return advice that names what was probably meant."""
    names = tuple(right)
    close = get_close_matches(wrong, names, n=1)
    return f'did you mean "{close[0]}"?' if close else f"known are {', '.join(names) or 'none'}"


def dotted(key_path: KeyPath) -> str:
    """Return a path as text: `themes[2].text.nb`, counted from one."""
    return "".join(f"[{step + 1}]" if isinstance(step, int) else f".{step}" for step in key_path).lstrip(".")
