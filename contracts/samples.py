"""Sample documents of a plain schema: every field filled in, and the same every time."""

from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from contracts.plain_schema import Schema

_BY_FORMAT: Final = {"date": "2026-03-02", "date-time": "2026-03-02T08:30:00Z"}
_BY_PATTERN: Final = {
    r"^[a-z][a-z0-9_]{0,63}$": "some_code",
    r"^[0-9]{4}$": "0440",
    r"^[0-9]{10}$": "0000000001",
    r"^[0-9]{13}$": "1772438400000",
    r"^urn:samspil:[a-z]+$": "urn:samspil:referral",
    r"^urn:samspil:schema:[a-z0-9_.]+$": "urn:samspil:schema:referral.sent.v1",
    r"^[a-z]+\.[a-z_]+\.v[1-9][0-9]*$": "referral.sent.v1",
    r"^[0-9a-f]{64}$": "0123456789abcdef" * 4,
    r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$": f"00-{'0123456789abcdef' * 2}-0123456789abcdef-01",
}
_BY_NAME: Final = {
    "ce_role": "caseworker",
    "facts": "first_name",
    "language": "da",
    "model": "kerteminde",
    "purpose": "networks",
    "purposes": "networks",
}


class NoSample(Exception):
    """There is no example for this kind of value; add one to `contracts/samples.py`."""


def sample_of(schema: Schema, name: str) -> Any:
    """Return a document that a plain schema describes; `name` is the field that it is for.

    Raises:
        NoSample: there is no example for a pattern, a format or a type.

    """
    match schema:
        case {"anyOf": [first, *_]}:
            return sample_of(first, name)
        case {"type": "object", "properties": properties}:
            return {field: sample_of(inner, field) for field, inner in properties.items()}
        case {"type": "array", "items": items}:
            return [sample_of(items, name)]
        case {"type": "integer"}:
            return max(1, schema.get("minimum", 1))
        case {"type": "boolean"}:
            return True
        case _:
            return _text(schema, name)


def _text(schema: Schema, name: str) -> str:
    match schema:
        case {"const": str(fixed)}:
            return fixed
        case {"type": "string", "format": "uuid"}:
            return str(uuid5(NAMESPACE_URL, f"urn:samspil:sample:{name}"))
        case {"type": "string", "format": form} if form in _BY_FORMAT:
            return _BY_FORMAT[form]
        case {"type": "string", "pattern": pattern} if pattern in _BY_PATTERN:
            return _BY_NAME.get(name, _BY_PATTERN[pattern])
    raise NoSample(f"{name}: {schema}")
