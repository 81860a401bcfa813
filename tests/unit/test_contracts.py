"""The events: well named, described, frozen, free of personal data, and read for ever."""

import inspect
import json
from collections.abc import Iterator
from types import ModuleType
from typing import Annotated, Any, ClassVar
from uuid import UUID

import pytest
from pydantic import StringConstraints, ValidationError

from contracts import agreement, audit, consent, directory, evaluation, notify, portal, referral
from contracts.envelope import PREFIX, Attributes, dataschema_of, source_of
from contracts.event import SERVICES, Code, Event, Facts, Ticked, service_of, topic_of
from contracts.golden import Golden, schema_of
from contracts.plain_schema import NotUnderstood, plain, walk
from contracts.registry import EVENTS
from contracts.samples import sample_of

MODULES = (agreement, audit, consent, directory, evaluation, notify, portal, referral)

HARMLESS_FORMATS = {"uuid", "date", "date-time"}
HARMLESS_PATTERNS = {
    r"^[a-z][a-z0-9_]{0,63}$": "a code: a word from a list, which no number of a person can be",
    r"^[0-9]{4}$": "a municipality's code: too short for a number of a person",
    r"^[0-9a-f]{64}$": "a digest of a text of the model, which is about no person",
}

TYPES = sorted(EVENTS)


def classes_in(module: ModuleType) -> Iterator[type[Facts]]:
    """Return the classes that a module adds to the contracts."""
    for found in vars(module).values():
        if inspect.isclass(found) and issubclass(found, Facts) and found.__module__ == module.__name__:
            yield found


def harmful_paths(kind: type[Event]) -> list[str]:
    """Return the fields of an event in which a sentence or a number of a person could travel."""
    return [
        path
        for path, type_, keywords in walk(schema_of(kind))
        if type_ == "string"
        and "enum" not in keywords
        and keywords.get("format") not in HARMLESS_FORMATS
        and keywords.get("pattern") not in HARMLESS_PATTERNS
    ]


@pytest.mark.parametrize("name", TYPES)
def test_a_type_names_its_service_what_happened_and_its_version(name: str) -> None:
    """The name says who speaks, on which topic, and which version."""
    service, what, version = name.split(".")

    assert service in SERVICES
    assert service_of(name) == service
    assert topic_of(service) == f"samspil.{service}.v1"
    assert EVENTS[name].__module__ == f"contracts.{service}"
    assert what.replace("_", "").isalpha()
    assert what == what.lower()
    assert version[0] == "v"
    assert version[1:].isdigit()


def test_the_registry_knows_every_event() -> None:
    """An event that is not registered could be written and never read."""
    written = {kind for module in MODULES for kind in classes_in(module) if issubclass(kind, Event)}

    assert {module.__name__.rpartition(".")[2] for module in MODULES} == set(SERVICES)
    assert set(EVENTS.values()) == written
    assert len(EVENTS) == len(written)
    assert all(kind.type == name for name, kind in EVENTS.items())


@pytest.mark.parametrize("kind", [kind for module in MODULES for kind in classes_in(module)])
def test_every_class_says_in_a_sentence_what_it_means(kind: type[Facts]) -> None:
    """The sentence is what outsiders read; it is its own, not its parent's."""
    text = vars(kind).get("__doc__") or ""

    assert text.endswith(".")
    assert text[0].isupper()
    assert all(text != vars(parent).get("__doc__") for parent in kind.__mro__[1:])


@pytest.mark.parametrize("name", TYPES)
def test_a_body_carries_ids_dates_codes_and_numbers_only(name: str) -> None:
    """No field of any event can hold a name, an address, a person number or a sentence."""
    kinds = {type_ for _, type_, _ in walk(schema_of(EVENTS[name]))}

    assert harmful_paths(EVENTS[name]) == []
    assert kinds <= {"object", "array", "string", "integer", "boolean", "null"}


def test_a_sentence_in_a_body_would_be_found() -> None:
    """The proof above can fail: free text is seen at any depth."""

    class Inner(Facts):
        """Something within."""

        inner_list: tuple[str | None, ...]

    class Leaking(Event):
        """An event that says too much."""

        type: ClassVar[str] = "referral.leaked.v1"

        name: str
        short: Annotated[str, StringConstraints(max_length=10)]
        inner: Inner
        fine: Code
        kind: UUID

    assert harmful_paths(Leaking) == ["inner.inner_list[]", "name", "short"]


@pytest.mark.parametrize(
    "value", ["0101700000", "+4512345678", "12345678", "Anna", "anna hansen", "", "a" * 65, "a-b"]
)
def test_a_code_is_a_word_and_nothing_else(value: str) -> None:
    """Neither a person number nor a telephone number nor a name in capitals passes as a code."""
    with pytest.raises(ValidationError):
        directory.DepartmentRegistered.model_validate({"department_id": UUID(int=1), "kind": value})


@pytest.mark.parametrize("name", TYPES)
def test_an_event_is_frozen_and_passes_over_what_it_does_not_know(name: str) -> None:
    """What happened cannot be changed, and a field of tomorrow does not stop a reader of today."""
    kind = EVENTS[name]
    sample = sample_of(schema_of(kind), name)

    event = kind.model_validate_json(json.dumps({**sample, "field_of_tomorrow": [{"x": 1}]}))

    assert event == kind.model_validate_json(json.dumps(sample))
    assert hash(event) == hash(kind.model_validate_json(json.dumps(sample)))
    for field in kind.model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(event, field, None)


@pytest.mark.parametrize("name", TYPES)
def test_every_event_that_was_ever_accepted_is_still_read(name: str) -> None:
    """A replay from the first day reaches the readers of today, and nothing of it is lost."""
    history = Golden().history(name)

    assert history
    for accepted in history:
        event = EVENTS[name].model_validate_json(json.dumps(accepted.sample))
        text = json.loads(event.model_dump_json())
        common = accepted.sample.keys() & text.keys()
        assert {field: text[field] for field in common} == {field: accepted.sample[field] for field in common}


def test_the_header_names_are_the_attributes_of_cloudevents() -> None:
    """Attribute names are small letters and digits, so that every binding can carry them."""
    assert all(
        name.isalnum() and name == name.lower() and len(name) <= 20 for name in Attributes.model_fields
    )
    assert PREFIX == "ce_"
    assert source_of("referral") == "urn:samspil:referral"
    assert dataschema_of("referral.sent.v1") == "urn:samspil:schema:referral.sent.v1"


def test_only_a_watermark_may_leave_out_the_sequence() -> None:
    """Whatever belongs to a stream is counted."""
    assert [name for name, kind in EVENTS.items() if issubclass(kind, Ticked)] == ["consent.ticked.v1"]
    assert Attributes.model_fields["sequence"].default is None


def test_a_schema_that_refers_to_itself_is_not_plain() -> None:
    """Events are small facts; a tree of facts is none."""
    tree: dict[str, Any] = {
        "$defs": {"T": {"type": "array", "items": {"$ref": "#/$defs/T"}}},
        "$ref": "#/$defs/T",
    }

    with pytest.raises(NotUnderstood, match="cannot be filled in"):
        plain(tree)
