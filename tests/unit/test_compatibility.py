"""Which changes of an event are allowed and which are not: each one, in both directions."""

import json
from collections.abc import Mapping
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.compatibility import NEW_READERS, OLD_READERS, UNCHECKED, breaks, breaks_with_any

Schema = dict[str, Any]

CODE = {"type": "string", "pattern": "^[a-z]+$"}
NULL = {"type": "null"}


def event(
    required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None, **more: object
) -> Schema:
    """Return the schema of an event with these fields."""
    fields = {**required, **(optional or {})}
    return {"type": "object", "properties": fields, "required": sorted(required), **more}


def one(field: Schema) -> Schema:
    """Return the schema of an event with one required field."""
    return event({"x": field})


def maybe(field: Schema) -> Schema:
    """Return the schema of an event with one optional field."""
    return event({}, {"x": field})


REF = {
    "$defs": {"Code": CODE},
    "type": "object",
    "properties": {"x": {"$ref": "#/$defs/Code"}},
    "required": ["x"],
}

ALLOWED = {
    "nothing": (one(CODE), one(CODE)),
    "an optional field comes": (one(CODE), event({"x": CODE}, {"y": {"type": "integer"}})),
    "an optional field goes": (event({"x": CODE}, {"y": {"type": "integer"}}), one(CODE)),
    "an optional field that may be null comes": (
        one(CODE),
        event({"x": CODE}, {"y": {"anyOf": [CODE, NULL], "default": None}}),
    ),
    "an optional field comes deep inside": (
        one({"type": "array", "items": one(CODE)}),
        one({"type": "array", "items": event({"x": CODE}, {"y": CODE})}),
    ),
    "remarks change": (
        one({**CODE, "title": "X", "description": "once", "examples": ["a"]}),
        one({**CODE, "title": "Y", "deprecated": True, "$comment": "now"}),
    ),
    "a reference is written out": (REF, one(CODE)),
    "one value is written as const or as enum": (
        one({"const": "a", "type": "string"}),
        one({"enum": ["a"], "type": "string"}),
    ),
    "a fixed value's type is left out": (one({"const": 1}), one({"enum": [1], "type": "integer"})),
    "values are listed in another order": (one({"enum": ["a", "b"]}), one({"enum": ["b", "a"]})),
    "a choice is listed in another order": (one({"anyOf": [CODE, NULL]}), one({"anyOf": [NULL, CODE]})),
    "a choice is written as types": (
        one({"anyOf": [{"type": "string"}, NULL]}),
        one({"type": ["null", "string"]}),
    ),
    "required fields are listed in another order": (
        {**event({"x": CODE, "y": CODE}), "required": ["x", "y"]},
        {**event({"x": CODE, "y": CODE}), "required": ["y", "x"]},
    ),
    "a bound that says nothing": (
        one({"type": "array", "items": CODE, "uniqueItems": False}),
        one({"type": "array", "items": CODE}),
    ),
}

BOUNDS = {
    "minimum": ("integer", 1, 2),
    "maximum": ("integer", 9, 8),
    "exclusiveMinimum": ("number", 1, 2),
    "exclusiveMaximum": ("number", 9, 8),
    "minLength": ("string", 1, 2),
    "maxLength": ("string", 9, 8),
}
SAME = {
    "multipleOf": ("integer", 2, 4),
    "pattern": ("string", "^[a-z]+$", "^[a-f]+$"),
    "format": ("string", "date-time", "date"),
}
LIST_BOUNDS = {"minItems": (1, 2), "maxItems": (9, 8), "uniqueItems": (False, True)}
LIST = {"type": "array", "items": CODE}

TIGHTENED = {
    **{
        f"{keyword} becomes tighter": (
            one({"type": kind, keyword: loose}),
            one({"type": kind, keyword: tight}),
        )
        for keyword, (kind, loose, tight) in BOUNDS.items()
    },
    **{
        f"{keyword} comes": (one({"type": kind}), one({"type": kind, keyword: tight}))
        for keyword, (kind, _, tight) in (BOUNDS | SAME).items()
    },
    **{
        f"{keyword} of a list becomes tighter": (one({**LIST, keyword: loose}), one({**LIST, keyword: tight}))
        for keyword, (loose, tight) in LIST_BOUNDS.items()
    },
    **{
        f"{keyword} of a list comes": (one(LIST), one({**LIST, keyword: tight}))
        for keyword, (_, tight) in LIST_BOUNDS.items()
    },
    "a required field comes": (one(CODE), event({"x": CODE, "y": CODE})),
    "an optional field becomes required": (event({"x": CODE}, {"y": CODE}), event({"x": CODE, "y": CODE})),
    "a required field comes deep inside": (
        one({"type": "array", "items": one(CODE)}),
        one({"type": "array", "items": event({"x": CODE, "y": CODE})}),
    ),
    "null is no longer written": (one({"anyOf": [CODE, NULL]}), one(CODE)),
    "a number becomes whole": (one({"type": "number"}), one({"type": "integer"})),
    "a value is no longer allowed": (one({"enum": ["a", "b"]}), one({"enum": ["a"]})),
    "any value becomes one of a list": (one({"type": "string"}), one({"type": "string", "enum": ["a"]})),
    "a constant comes": (one({"type": "string"}), one({"type": "string", "const": "a"})),
    "an optional field is tightened": (
        maybe({"type": "string", "maxLength": 9}),
        maybe({"type": "string", "maxLength": 8}),
    ),
    "a list of anything becomes a list of something": (one({"type": "array"}), one(LIST)),
    "an item of a fixed list is tightened": (
        one({"type": "array", "prefixItems": [{"type": "string"}, CODE]}),
        one({"type": "array", "prefixItems": [CODE, CODE]}),
    ),
}

CHANGED = {
    **{
        f"{keyword} changes": (one({"type": kind, keyword: first}), one({"type": kind, keyword: second}))
        for keyword, (kind, first, second) in SAME.items()
    },
    "the type changes": (one({"type": "string"}), one({"type": "integer"})),
    "text becomes yes or no": (one({"type": "string"}), one({"type": "boolean"})),
    "one becomes many": (one(CODE), one(LIST)),
    "the constant changes": (one({"const": "a"}), one({"const": "b"})),
    "1 becomes true": (one({"const": 1}), one({"const": True})),
    "a field is renamed": (one(CODE), event({"y": CODE})),
    "an optional field changes its type": (maybe({"type": "string"}), maybe({"type": "integer"})),
    "what an absent field means changes": (
        maybe({"type": "integer", "default": 1}),
        maybe({"type": "integer", "default": 2}),
    ),
    "an absent field begins to mean something": (
        maybe({"type": "integer"}),
        maybe({"type": "integer", "default": 0}),
    ),
    "a fixed list grows": (
        one({"type": "array", "prefixItems": [CODE]}),
        one({"type": "array", "prefixItems": [CODE, CODE]}),
    ),
}

NOT_UNDERSTOOD = {
    "an unsupported keyword": one({"type": "string", "contentEncoding": "base64"}),
    "a keyword of another type": one({"type": "integer", "maxLength": 3}),
    "oneOf": one({"oneOf": [CODE, NULL]}),
    "allOf": one({"allOf": [CODE]}),
    "not": one({"type": "string", "not": {"const": "a"}}),
    "a map": one({"type": "object", "additionalProperties": CODE}),
    "a closed object": one({"type": "object", "properties": {}, "additionalProperties": False}),
    "property names by pattern": one({"type": "object", "patternProperties": {"^x": CODE}}),
    "something beside anyOf": one({"anyOf": [CODE, NULL], "maxLength": 3}),
    "no type at all": one({}),
    "an unknown type": one({"type": "decimal"}),
    "a yes-or-no schema": one({"type": "array", "items": False}),
    "a fixed list value": one({"const": ["a"]}),
    "a reference that leads nowhere": one({"$ref": "#/$defs/Nowhere"}),
    "a reference to elsewhere": one({"$ref": "https://example.org/schema.json"}),
    "a reference with a rule beside it": {
        **REF,
        "properties": {"x": {"$ref": "#/$defs/Code", "maxLength": 3}},
    },
    "a type within itself": {
        "$defs": {"Tree": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}},
        **one({"$ref": "#/$defs/Tree"}),
    },
    "in a new optional field": maybe({"type": "string", "contentEncoding": "base64"}),
    "deep in a choice": maybe({"anyOf": [NULL, {"type": "array", "items": one({"oneOf": [CODE]})}]}),
}


@pytest.mark.parametrize(("old", "new"), ALLOWED.values(), ids=ALLOWED.keys())
def test_what_is_allowed_passes_in_both_directions(old: Schema, new: Schema) -> None:
    """Old events are read by new readers, and new events by old readers."""
    assert breaks(old, new) == ()
    assert breaks(new, old) == ()


@pytest.mark.parametrize(("loose", "tight"), TIGHTENED.values(), ids=TIGHTENED.keys())
def test_tightening_would_lose_old_events(loose: Schema, tight: Schema) -> None:
    """What was written before is read again on a replay, and must still be taken."""
    assert {found.who for found in breaks(loose, tight)} == {NEW_READERS}


@pytest.mark.parametrize(("loose", "tight"), TIGHTENED.values(), ids=TIGHTENED.keys())
def test_loosening_would_stop_readers_that_are_not_deployed_yet(loose: Schema, tight: Schema) -> None:
    """What is written today is read by services of yesterday."""
    assert {found.who for found in breaks(tight, loose)} == {OLD_READERS}


@pytest.mark.parametrize(("old", "new"), CHANGED.values(), ids=CHANGED.keys())
def test_a_change_stops_both_old_and_new_readers(old: Schema, new: Schema) -> None:
    """Another meaning under the same name is a break for everybody."""
    assert {found.who for found in breaks(old, new)} == {NEW_READERS, OLD_READERS}
    assert {found.who for found in breaks(new, old)} == {NEW_READERS, OLD_READERS}


@pytest.mark.parametrize("strange", NOT_UNDERSTOOD.values(), ids=NOT_UNDERSTOOD.keys())
def test_what_is_not_understood_does_not_pass(strange: Schema) -> None:
    """The check fails closed, on either side and even where nothing changed."""
    assert [found.who for found in breaks(strange, strange)] == [UNCHECKED]
    assert [found.who for found in breaks(event({}), strange)] == [UNCHECKED]
    assert [found.who for found in breaks(strange, event({}))] == [UNCHECKED]


def test_a_break_says_where_what_and_who() -> None:
    """The one who changed an event reads what to undo."""
    old = one({"type": "array", "items": event({"code": CODE})})
    new = one({"type": "array", "items": event({"code": {"type": "integer"}})})

    assert [str(found) for found in breaks(old, new)] == [
        "x[].code: integer is written, string is read; old readers would refuse new events",
        "x[].code: string is written, integer is read; new readers would refuse old events",
    ]


def test_a_field_that_went_cannot_come_back_as_something_else() -> None:
    """Every age is compared, not only the last one: the logs still hold the first."""
    first, second, third = maybe({"type": "integer"}), event({}), maybe({"type": "string"})

    assert breaks(first, second) == ()
    assert breaks(second, third) == ()
    assert breaks_with_any([first, second], third) == breaks(first, third) != ()


KINDS: list[Schema] = [
    {"type": "string"},
    CODE,
    {"type": "string", "maxLength": 2},
    {"type": "string", "enum": ["a", "b"]},
    {"const": "a"},
    {"type": "integer"},
    {"type": "integer", "minimum": 1},
    {"type": "number", "maximum": 2},
    {"type": "boolean"},
    {"enum": [1, True, None]},
    {"anyOf": [CODE, NULL]},
    {"type": ["integer", "null"]},
    LIST,
    {**LIST, "maxItems": 1},
    {"type": "array", "items": {"type": "integer"}, "uniqueItems": True},
    one(CODE),
    maybe({"type": "integer"}),
]
TEXTS: list[object] = ["", "a", "b", "abc", "1"]
NUMBERS: list[object] = [0, 1, 2, 1.5, 3.0, True, False]
OTHERS: list[object] = [None, [], ["a"], ["a", "b"], [1], [1, 1], {}, {"x": "a"}, {"x": 1}]

FIELDS = st.sampled_from(KINDS)
REQUIRED = st.dictionaries(st.sampled_from("xy"), FIELDS)
OPTIONAL = st.dictionaries(st.sampled_from("vw"), FIELDS)


@st.composite
def neighbours(draw: st.DrawFn) -> tuple[Schema, Schema]:
    """Draw two schemas that differ in their optional fields, and perhaps in a required one."""
    required = draw(REQUIRED)
    other = draw(st.one_of(st.just(required), REQUIRED))
    return event(required, draw(OPTIONAL)), event(other, draw(OPTIONAL))


def closed(schema: Schema) -> Schema:
    """Return a field as its writer sees it: nothing undocumented is written."""
    return {**schema, "additionalProperties": False} if "properties" in schema else schema


def written(data: st.DataObject, schema: Schema) -> dict[str, object]:
    """Draw a body as a writer of the schema could write it."""
    body = {}
    for name, field in schema["properties"].items():
        validator = jsonschema.Draft202012Validator(closed(field))
        values = [value for value in (*TEXTS, *NUMBERS, *OTHERS) if validator.is_valid(value)]
        if name in schema["required"] or data.draw(st.booleans()):
            body[name] = data.draw(st.sampled_from(values))
    return body


@settings(derandomize=True, max_examples=300)
@given(pair=neighbours(), data=st.data())
def test_what_passes_can_truly_be_read(pair: tuple[Schema, Schema], data: st.DataObject) -> None:
    """An independent validator agrees: whatever one side writes and the other refuses, the check reports."""
    found_breaks = breaks(*pair)

    for writer, reader in (pair, reversed(pair)):
        body = written(data, writer)
        assert found_breaks or jsonschema.Draft202012Validator(reader).is_valid(body)


@settings(derandomize=True)
@given(pair=neighbours())
def test_an_event_fits_itself_after_it_was_stored(pair: tuple[Schema, Schema]) -> None:
    """What was stored as JSON and read again is the same schema."""
    schema, _ = pair

    assert breaks(schema, json.loads(json.dumps(schema))) == ()
