"""Plain form of JSON Schemas: without references and remarks, so that two of them can be compared."""

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
    """A schema has a part that the comparison does not support, so nothing may be concluded from it."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(f"{path or 'the body'}: {what}")
        self.path = path
        self.what = what


def plain(schema: Schema, *, without: frozenset[str] = REMARKS) -> dict[str, Any]:
    """Return a schema with its references filled in, its remarks left out, and its sets sorted.

    Raises:
        NotUnderstood: a reference leads nowhere or back into itself, or what should be a schema is none.

    """
    return _Plain(schema.get("$defs", {}), without).of(schema)


@dataclass(frozen=True)
class _Plain:
    """Conversion of one schema to its plain form."""

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


def branches(schema: Schema, path: str) -> tuple[tuple[str, Schema], ...]:
    """Return the types that a plain schema allows, each with its own keywords; `const` becomes `enum`.

    Raises:
        NotUnderstood: a keyword is unknown, or does not belong to the type.

    """
    keywords = {keyword: value for keyword, value in schema.items() if keyword != "default"}
    if "anyOf" in keywords:
        if set(keywords) != {"anyOf"}:
            raise NotUnderstood(path, f"{', '.join(sorted(set(keywords) - {'anyOf'}))} beside anyOf")
        return tuple(branch for inner in keywords["anyOf"] for branch in branches(inner, path))
    if "const" in keywords:
        keywords["enum"] = [keywords.pop("const")]
    types = keywords.pop("type", None) or sorted(
        {_type_of(value, path) for value in keywords.get("enum", ())}
    )
    names = [types] if isinstance(types, str) else list(types)
    supported = [KEYWORDS.get(name, frozenset()) for name in names]
    if not names or not all(supported):
        raise NotUnderstood(path, "no known type")
    if strange := set(keywords) - frozenset().union(*supported):
        raise NotUnderstood(path, f"the keyword {', '.join(sorted(strange))}")
    return tuple(
        (name, _own(name, words, keywords, path)) for name, words in zip(names, supported, strict=True)
    )


def _own(name: str, words: frozenset[str], keywords: Mapping[str, Any], path: str) -> Schema:
    """Return the keywords of a schema that belong to one of its types."""
    own = {keyword: value for keyword, value in keywords.items() if keyword in words}
    if "enum" in own:
        types = {"number", "integer"} if name == "number" else {name}
        own["enum"] = [value for value in own["enum"] if _type_of(value, path) in types]
    return own


def _type_of(value: object, path: str) -> str:
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
            raise NotUnderstood(path, "a fixed value that is a list or an object")


def walk(schema: Schema, path: str = "") -> Iterator[tuple[str, str, Schema]]:
    """Yield every branch of a plain schema: its path, its type, its keywords."""
    for kind, own in branches(schema, path):
        yield path, kind, own
        for name, inner in own.get("properties", {}).items():
            yield from walk(inner, f"{path}.{name}".lstrip("."))
        for inner in (*own.get("prefixItems", ()), *([own["items"]] if "items" in own else [])):
            yield from walk(inner, f"{path}[]")
