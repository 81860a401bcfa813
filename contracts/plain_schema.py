"""JSON Schemas in a plain form: without references and remarks, so that two of them can be compared."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

Schema = Mapping[str, Any]

REMARKS: Final = frozenset(
    {"$comment", "$defs", "$id", "$schema", "deprecated", "description", "examples", "title"}
)
"""Keywords that refuse no document."""

_EVERY: Final = frozenset({"enum", "const"})
_NUMBER: Final = _EVERY | {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
KEYWORDS: Final[Mapping[str, frozenset[str]]] = {
    "string": _EVERY | {"minLength", "maxLength", "pattern", "format"},
    "integer": _NUMBER,
    "number": _NUMBER,
    "boolean": _EVERY,
    "null": _EVERY,
    "array": frozenset({"items", "prefixItems", "minItems", "maxItems", "uniqueItems"}),
    "object": frozenset({"properties", "required"}),
}
"""What the comparison understands about each type; anything else stops it."""

_BESIDE_REFERENCE: Final = REMARKS | {"$ref", "default"}


class NotUnderstood(Exception):
    """A schema says something that the comparison does not know, so nothing may be concluded from it."""

    def __init__(self, place: str, what: str) -> None:
        super().__init__(f"{place or 'the body'}: {what}")
        self.place = place
        self.what = what


def plain(schema: Schema, *, without: frozenset[str] = REMARKS) -> dict[str, Any]:
    """Return a schema with its references filled in, its remarks left out, and its sets sorted.

    Raises:
        NotUnderstood: a reference leads nowhere or back into itself, or what should be a schema is none.

    """
    return _Plain(schema.get("$defs", {}), without).of(schema)


@dataclass(frozen=True)
class _Plain:
    """The way from one schema to its plain form."""

    definitions: Mapping[str, Schema]
    without: frozenset[str]
    inside: tuple[str, ...] = ()

    def of(self, schema: Schema) -> dict[str, Any]:
        if not isinstance(schema, Mapping):
            raise NotUnderstood("", f"{schema} as a schema")
        if "$ref" in schema:
            return self._filled_in(schema)
        return {
            keyword: self._value(keyword, value)
            for keyword, value in sorted(schema.items())
            if keyword not in self.without
        }

    def _filled_in(self, schema: Schema) -> dict[str, Any]:
        name = str(schema["$ref"]).removeprefix("#/$defs/")
        if name in self.inside or name not in self.definitions or not set(schema) <= _BESIDE_REFERENCE:
            raise NotUnderstood(name, "this reference cannot be filled in")
        default = {"default": schema["default"]} if "default" in schema else {}
        return {**replace(self, inside=(*self.inside, name)).of(self.definitions[name]), **default}

    def _value(self, keyword: str, value: Any) -> Any:
        match keyword, value:
            case "properties", dict():
                return {name: self.of(inner) for name, inner in sorted(value.items())}
            case (("anyOf" | "prefixItems"), list()):
                return [self.of(inner) for inner in value]
            case "items", _:
                return self.of(value)
            case "required", list():
                return sorted(value)
            case "enum", list():
                return sorted(value, key=json.dumps)
            case _:
                return value


def branches(schema: Schema, place: str) -> tuple[tuple[str, Schema], ...]:
    """Return the types that a plain schema allows, each with its own keywords; `const` becomes `enum`.

    Raises:
        NotUnderstood: a keyword is unknown, or does not belong to the type.

    """
    said = {keyword: value for keyword, value in schema.items() if keyword != "default"}
    if "anyOf" in said:
        if set(said) != {"anyOf"}:
            raise NotUnderstood(place, f"{', '.join(sorted(set(said) - {'anyOf'}))} beside anyOf")
        return tuple(branch for inner in said["anyOf"] for branch in branches(inner, place))
    if "const" in said:
        said["enum"] = [said.pop("const")]
    types = said.pop("type", None) or sorted({_type_of(value, place) for value in said.get("enum", ())})
    names = [types] if isinstance(types, str) else list(types)
    known = [KEYWORDS.get(name, frozenset()) for name in names]
    if not names or not all(known):
        raise NotUnderstood(place, "no known type")
    if strange := set(said) - frozenset().union(*known):
        raise NotUnderstood(place, f"the keyword {', '.join(sorted(strange))}")
    return tuple((name, _own(name, words, said, place)) for name, words in zip(names, known, strict=True))


def _own(name: str, words: frozenset[str], said: Mapping[str, Any], place: str) -> Schema:
    """Return what a schema says about one of its types."""
    own = {keyword: value for keyword, value in said.items() if keyword in words}
    if "enum" in own:
        types = {"number", "integer"} if name == "number" else {name}
        own["enum"] = [value for value in own["enum"] if _type_of(value, place) in types]
    return own


def _type_of(value: object, place: str) -> str:
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case None:
            return "null"
        case _:
            raise NotUnderstood(place, "a fixed value that is a list or an object")


def walk(schema: Schema, place: str = "") -> Iterator[tuple[str, str, Schema]]:
    """Go through every branch of a plain schema: its place, its type, its keywords."""
    for kind, own in branches(schema, place):
        yield place, kind, own
        for name, inner in own.get("properties", {}).items():
            yield from walk(inner, f"{place}.{name}".lstrip("."))
        for inner in (*own.get("prefixItems", ()), *([own["items"]] if "items" in own else [])):
            yield from walk(inner, f"{place}[]")
