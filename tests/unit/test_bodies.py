"""Bodies are taken as they are written: no number passes for a day, and no yes for a number."""

import importlib
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from contracts.event import SERVICES

WRONG: dict[str, tuple[object, ...]] = {
    "date": (0, "0", "1700000000", 20260228, True, "28-02-2026"),
    "integer": (True, "1", 1.5),
    "number": (True, "1"),
    "boolean": (1, "yes", "true"),
}


def bodies() -> Iterator[type[BaseModel]]:
    """Return every body that a call takes."""
    for service in SERVICES:
        module = importlib.import_module(f"services.{service}.api")
        for name, kind in vars(module).items():
            if name.endswith("Body") and not name.startswith("_"):
                yield kind


def plain_fields() -> Iterator[tuple[type[BaseModel], str, Any]]:
    """Return each field that is no text, with a value that is not of its type; also inside a dictionary."""
    for body in bodies():
        for name, shape in body.model_json_schema()["properties"].items():
            inner = next(iter(shape.get("patternProperties", {}).values()), shape)
            for value in WRONG.get("date" if inner.get("format") == "date" else inner.get("type", ""), ()):
                yield body, name, value if inner is shape else {"key": value}


def test_every_kind_of_field_is_among_them() -> None:
    """The table below is not empty by mistake."""
    assert {name for _, name, _ in plain_fields()} >= {"born", "places", "scores", "residence", "answers"}


@pytest.mark.parametrize(("body", "name", "value"), [*plain_fields()])
def test_what_is_written_otherwise_is_refused(body: type[BaseModel], name: str, value: object) -> None:
    """A birth day that a program sends as a number is a mistake, and not the first of January 1970."""
    with pytest.raises(ValidationError) as refused:
        body.model_validate({name: value})

    faults = {error["loc"][0]: error["type"] for error in refused.value.errors()}
    assert faults.get(name) not in {None, "missing"}
