"""Schemas of the OpenAPI document: names of their own, a meaning for each field, and examples."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from contracts.fields import meaning_of

Schema = dict[str, Any]

_PREFIX: Final = "#/components/schemas/"
_BY_FORMAT: Final = {
    "date": "2026-03-02",
    "date-time": "2026-03-02T08:30:00Z",
    "uuid": "0199a3c0-7b1e-7000-8000-00000000000",
}
_BY_PATTERN: Final = {
    "^[0-9]{4}$": "0440",
    "^[0-9a-f]{64}$": "0123456789abcdef" * 4,
    "^[a-z][a-z0-9_]{0,63}$": "networks",
    "^[A-Z]{2}$": "DK",
    "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$": "0199a3c0-7b1e-7000-8000-000000000001",
}
_ALTERNATIVES: Final = re.compile(r"\^\(([a-z_]+)\|[a-z_|]+\)\$")


def rename(document: Schema) -> None:
    """Give each schema one name, which is its title too: `ReferralCase` of several services with a case."""
    schemas = document["components"]["schemas"]
    names = {old: _name_of(old) for old in schemas}
    if len({*names.values()}) < len(names):
        doubled = sorted(name for name in names.values() if [*names.values()].count(name) > 1)
        raise ValueError(f"two schemas of one service have one name: {doubled}")
    document["components"]["schemas"] = {
        names[old]: {**schema, "title": names[old]} for old, schema in schemas.items()
    }
    for node in _nodes(document):
        if str(node.get("$ref", "")).startswith(_PREFIX):
            node["$ref"] = _PREFIX + names[node["$ref"].removeprefix(_PREFIX)]


def _name_of(name: str) -> str:
    """Return a short name for `services__referral__views__CaseView`, which the framework makes of twins."""
    if not name.startswith("services__"):
        return name
    _, service, *_, kind = name.split("__")
    return service.capitalize() + kind.removesuffix("View")


def describe_fields(document: Schema) -> None:
    """Give each field its meaning, and no title: that would only repeat its name."""
    for name, schema in document["components"]["schemas"].items():
        for field, inner in schema.get("properties", {}).items():
            inner.pop("title", None)
            meaning = meaning_of(name, field)
            if meaning is not None:
                inner.setdefault("description", meaning.text)


def describe_parameter(parameter: Schema) -> None:
    """Give a parameter of a path or a query its meaning."""
    parameter["schema"].pop("title", None)
    if meaning := meaning_of("parameters", parameter["name"]):
        parameter.setdefault("description", meaning.text)


def undescribed(document: Schema) -> list[str]:
    """Return the fields without a meaning."""
    return [
        f"{name}.{field}"
        for name, schema in document["components"]["schemas"].items()
        for field, inner in schema.get("properties", {}).items()
        if "description" not in inner
    ] + [
        f"parameter {one['name']}"
        for methods in document["paths"].values()
        for operation in methods.values()
        for one in operation["parameters"]
        if "$ref" not in one and "description" not in one
    ]


def example_of(  # noqa: PLR0911  the table of kinds
    schema: Mapping[str, Any], document: Schema, owner: str = "", field: str = ""
) -> Any:
    """Return an example of a schema: each field as its meaning has it, or as its type says."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_PREFIX)
        return example_of(document["components"]["schemas"][name], document, name, field)
    meaning = meaning_of(owner, field) if field else None
    plain = _first_of(schema)
    if plain is not schema:
        return example_of(plain, document, owner, field)
    match schema:
        case {"properties": properties}:
            return {key: example_of(inner, document, owner, key) for key, inner in properties.items()}
        case {"type": "array"}:
            return [example_of(schema.get("items", {}), document, owner, field)]
        case {"enum": [first, *_]} | {"const": first}:
            given = meaning.example if meaning else None
            return given if given in schema.get("enum", ()) else first
    if meaning is not None and meaning.example is not None:
        return meaning.example
    return _by_type(schema, document, owner, field)


def _first_of(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the first kind of value that a schema allows, if it lists several."""
    for word in ("anyOf", "oneOf", "allOf"):
        if schema.get(word):
            found: Mapping[str, Any] = schema[word][0]
            return found
    return schema


def _by_type(  # noqa: PLR0911  the table of types
    schema: Mapping[str, Any], document: Schema, owner: str, field: str
) -> Any:
    match schema:
        case {"type": "object"}:
            values: Schema = schema.get("additionalProperties") or next(
                iter(schema.get("patternProperties", {}).values()), {}
            )
            keys = example_of(schema.get("propertyNames", {"enum": ["networks"]}), document)
            return {keys: example_of(values, document, owner)} if isinstance(values, dict) and values else {}
        case {"format": "uuid"}:
            return f"{_BY_FORMAT['uuid']}{sum(field.encode()) % 10}"
        case {"format": form} if form in _BY_FORMAT:
            return _BY_FORMAT[form]
        case {"pattern": pattern} if pattern in _BY_PATTERN:
            return _BY_PATTERN[pattern]
        case {"pattern": pattern} if found := _ALTERNATIVES.fullmatch(pattern):
            return found[1]
        case {"type": "integer" | "number"}:
            return max(1, int(schema.get("minimum", 1)))
        case {"type": "boolean"}:
            return True
        case {"type": "null"}:
            return None
    return "text"


def _nodes(node: object) -> Iterator[Schema]:
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list):
        for one in node:
            yield from _nodes(one)
