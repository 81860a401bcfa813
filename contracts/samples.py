"""Sample documents of a plain schema: every field filled in, and the same every time."""

import re
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from contracts.fields import meaning_of
from contracts.plain_schema import Schema

_BY_FORMAT: Final = {"date": "2026-03-02", "date-time": "2026-03-02T08:30:00Z"}
CODE: Final = r"^[a-z][a-z0-9_]{0,63}$"
_BY_PATTERN: Final = {
    CODE: "other",
    r"^[0-9]{4}$": "0440",
    r"^[0-9]{10}$": "0000000001",
    r"^[0-9]{13}$": "1772438400000",
    r"^urn:samspil:[a-z]+$": "urn:samspil:referral",
    r"^urn:samspil:schema:[a-z0-9_.]+$": "urn:samspil:schema:referral.sent.v1",
    r"^[a-z]+\.[a-z_]+\.v[1-9][0-9]*$": "referral.sent.v1",
    r"^[0-9a-f]{64}$": "0123456789abcdef" * 4,
    r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$": f"00-{'0123456789abcdef' * 2}-0123456789abcdef-01",
}
_ROLE_HEADER: Final = "ce_role"


class NoSample(Exception):
    """There is no example for this kind of value; add one to `contracts/samples.py`."""


def sample_of(schema: Schema, name: str, owner: str = "") -> Any:
    """Return a document that a plain schema describes; `name` is the field that it is for, of `owner`.

    Raises:
        NoSample: there is no example for a pattern, a format or a type.

    """
    match schema:
        case {"anyOf": [first, *_]}:
            return sample_of(first, name, owner)
        case {"type": "object", "properties": properties}:
            owner = schema.get("title", "")
            return {field: sample_of(inner, field, owner) for field, inner in properties.items()}
        case {"type": "array", "items": items}:
            return [sample_of(items, name, owner)]
        case {"type": "integer"}:
            return _number(schema, name, owner)
        case {"type": "boolean"}:
            return True
        case _:
            return _text(schema, name, owner)


def _number(schema: Schema, name: str, owner: str) -> int:
    meaning = meaning_of(owner, name)
    example = meaning.example if meaning else None
    least: int = schema.get("minimum", 1)
    return max(example if isinstance(example, int) else 1, least)


def _text(schema: Schema, name: str, owner: str) -> str:
    match schema:
        case {"const": str(fixed)}:
            return fixed
        case {"type": "string", "format": "uuid"}:
            return str(uuid5(NAMESPACE_URL, f"urn:samspil:sample:{name}"))
        case {"type": "string", "format": form} if form in _BY_FORMAT:
            return _example_of(name, owner, r"\d{4}-\d{2}-\d{2}.*") or _BY_FORMAT[form]
        case {"type": "string", "pattern": pattern} if pattern in _BY_PATTERN:
            return _example_of(name, owner, pattern) or _BY_PATTERN[pattern]
    raise NoSample(f"{name}: {schema}")


def _example_of(name: str, owner: str, pattern: str) -> str | None:
    """Return the example that the field's meaning has, where it fits."""
    meaning = meaning_of(owner, "role" if name == _ROLE_HEADER else name)
    example = meaning.example if meaning else None
    return example if isinstance(example, str) and re.fullmatch(pattern, example) else None
