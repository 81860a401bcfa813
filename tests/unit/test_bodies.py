"""Bodies are taken as they are written: no number passes for a day, and no yes for a number."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from contracts.event import SERVICES, municipality_stream
from services.kernel.http.fields import GivenId
from services.kernel.ids import new_id

WRONG: dict[str, tuple[object, ...]] = {
    "date": (0, "0", "1700000000", 20260228, True, "28-02-2026"),
    "integer": (True, "1", 1.5),
    "number": (True, "1"),
    "boolean": (1, "yes", "true"),
}


def bodies() -> Iterator[type[BaseModel]]:
    """Return every body that a call takes."""
    for service in (name for name in SERVICES if name != "portal"):  # its forms are pages
        api = importlib.import_module(f"services.{service}.api")
        parts = pkgutil.iter_modules(getattr(api, "__path__", ()), f"{api.__name__}.")
        for module in (api, *(importlib.import_module(part.name) for part in parts)):
            for name, kind in vars(module).items():
                if name.endswith("Body") and kind.__module__ == module.__name__ and not name.startswith("_"):
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


NEVER_GIVEN: dict[str, UUID] = {
    "random": uuid4(),
    "calculated": uuid5(NAMESPACE_URL, "urn:samspil:looks:0440:somebody"),
    "reserved": municipality_stream("0440"),
    "nil": UUID(int=0),
}


def test_an_id_that_was_given_is_taken() -> None:
    """In whichever case it is written."""
    given = new_id()

    assert TypeAdapter(GivenId).validate_python(str(given)) == given
    assert TypeAdapter(GivenId).validate_json(f'"{str(given).upper()}"') == given


@pytest.mark.parametrize("kind", NEVER_GIVEN)
def test_findings_1_and_2_an_id_that_is_never_given_is_no_id(kind: str) -> None:
    """Finding 1, 2: what a client makes up or calculates is refused by its form, whatever it may name."""
    with pytest.raises(ValidationError, match="ids are given by Samspil: leave it out, or name one"):
        TypeAdapter(GivenId).validate_python(str(NEVER_GIVEN[kind]))


@pytest.mark.parametrize("written", ["urn:uuid:{}", "{{{}}}", " {}"])
def test_an_id_is_written_in_one_way(written: str) -> None:
    """As the document says it, and in no other spelling."""
    with pytest.raises(ValidationError):
        TypeAdapter(GivenId).validate_python(written.format(new_id()))
