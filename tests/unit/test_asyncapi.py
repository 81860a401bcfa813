"""The AsyncAPI document: what an outsider is promised is what the classes say, and a validator agrees."""

import json
from collections.abc import Iterator
from typing import Any, get_args

import jsonschema
import pytest

from contracts.asyncapi import document
from contracts.directory import WhyLeft
from contracts.event import SERVICES, WhyDropped, topic_of
from contracts.fields import meaning_of
from contracts.golden import Golden
from contracts.publish import ASYNCAPI
from contracts.registry import EVENTS
from services.agreement.domain.commands import Attendee
from services.agreement.domain.states import Party, Payer, Trend
from services.consent.domain.states import Doubt, Evidence, ToldBy
from services.evaluation.domain.states import Answer, Attainment, Change, Choice, Moment, Voice

Document = dict[str, Any]


@pytest.fixture
def published() -> Document:
    """The document as it stands in the repository."""
    found: Document = json.loads(ASYNCAPI.read_text(encoding="utf-8"))
    return found


def resolved(published: Document, schema: Document) -> Document:
    """Return a schema together with the components that it refers to."""
    return {**schema, "components": published["components"]}


def refused(schema: Document, value: object) -> bool:
    """Say whether a schema refuses a value, formats included."""
    return not jsonschema.Draft7Validator(schema, format_checker=jsonschema.FormatChecker()).is_valid(value)


def headers_of(published: Document, name: str) -> dict[str, str]:
    """Return headers as a service writes them for one event type."""
    shared: dict[str, str] = published["components"]["schemas"]["headers"]["examples"][0]
    fixed = published["components"]["messages"][name]["headers"]["properties"]
    return {**shared, **{header: rule["const"] for header, rule in fixed.items()}}


def test_the_document_says_what_the_classes_say(published: Document) -> None:
    """A change of an event that was not published is reported."""
    assert published == document(EVENTS, Golden())


def test_each_service_has_one_topic_and_all_of_its_messages(published: Document) -> None:
    """An outsider finds every event on the topic of the service that speaks it."""
    channels = published["channels"]

    assert {name: channel["address"] for name, channel in channels.items()} == {
        s: topic_of(s) for s in SERVICES
    }
    assert sorted(name for channel in channels.values() for name in channel["messages"]) == sorted(EVENTS)
    assert set(published["operations"]) == {
        f"{s}.{action}" for s in SERVICES for action in ("send", "receive")
    }


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_the_example_of_a_message_keeps_its_own_rules(published: Document, name: str) -> None:
    """An example that could not occur would mislead."""
    message = published["components"]["messages"][name]

    assert not refused(message["payload"], message["examples"][0]["payload"])
    assert EVENTS[name].model_validate_json(json.dumps(message["examples"][0]["payload"]))


def test_all_headers_are_required_but_the_traces(published: Document) -> None:
    """A message without its trace is read, one without its tenant is not."""
    name = "referral.sent.v1"
    headers = headers_of(published, name)
    schema = resolved(published, published["components"]["messages"][name]["headers"])

    needed = {
        header
        for header in headers
        if refused(schema, {other: value for other, value in headers.items() if other != header})
    }

    assert not refused(schema, headers)
    assert set(headers) - needed == {"traceparent", "ce_traceparent", "ce_timeline"}


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("ce_type", "referral.seen.v1"),
        ("ce_source", "urn:samspil:consent"),
        ("ce_dataschema", "urn:samspil:schema:referral.seen.v1"),
        ("ce_specversion", "0.3"),
        ("ce_sequence", "1"),
        ("ce_tenant", "Kerteminde"),
        ("ce_time", "yesterday"),
        ("ce_role", "A Person's Name"),
        ("ce_subject", "010101-0000"),
        ("content-type", "application/cloudevents+json"),
        ("traceparent", "x"),
        ("ce_timeline", "long ago"),
    ],
)
def test_a_header_of_another_kind_is_refused(published: Document, header: str, value: str) -> None:
    """Each header has one form, and the fixed ones have one value."""
    name = "referral.sent.v1"
    schema = resolved(published, published["components"]["messages"][name]["headers"])

    assert refused(schema, {**headers_of(published, name), header: value})


def test_a_watermark_has_no_sequence(published: Document) -> None:
    """A watermark counts nothing: a sequence on it would be a gap for its consumers."""
    name = "consent.ticked.v1"
    schema = resolved(published, published["components"]["messages"][name]["headers"])
    counted = headers_of(published, name)
    watermark = {header: value for header, value in counted.items() if header != "ce_sequence"}

    assert refused(schema, counted)
    assert not refused(schema, watermark)


def test_the_key_is_a_random_id(published: Document) -> None:
    """The key of a message is its stream, never a person number."""
    keys = [message["bindings"]["kafka"]["key"] for message in published["components"]["messages"].values()]

    assert all((key["type"], key["format"]) == ("string", "uuid") for key in keys)


def objects_in(schema: Document) -> Iterator[Document]:
    """Return a body and every object in it."""
    if schema.get("type") == "object":
        yield schema
    for inner in (*schema.get("properties", {}).values(), *schema.get("anyOf", ()), schema.get("items", {})):
        yield from objects_in(inner) if inner else ()


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_a_body_has_a_title_and_its_fields_have_meanings(published: Document, name: str) -> None:
    """Generated classes have names, and a reader learns what each field says."""
    payload = published["components"]["messages"][name]["payload"]

    assert payload["title"] == EVENTS[name].__name__
    assert all(one["title"] for one in objects_in(payload))
    assert [
        field
        for one in objects_in(payload)
        for field, inner in one["properties"].items()
        if not inner.get("description")
    ] == []


@pytest.mark.parametrize(
    ("owner", "field", "words"),
    [
        ("", "attainment", Attainment),
        ("", "attended", Attendee),
        ("", "change", Change),
        ("", "decision", Choice),
        ("", "evidence", Evidence),
        ("", "moment", Moment),
        ("", "party", Party),
        ("", "payer", Payer),
        ("", "told_by", ToldBy),
        ("", "trend", Trend),
        ("", "voice", Voice),
        ("VoiceHeard", "answer", Answer),
        ("ConsentUnconfirmed", "reason", Doubt),
    ],
)
def test_the_codes_of_a_field_are_those_of_the_rules(owner: str, field: str, words: Any) -> None:
    """A list of codes in a document is the one by which the services decide."""
    meaning = meaning_of(owner, field)

    assert meaning is not None
    assert meaning.codes == get_args(words)
    assert meaning.example in meaning.codes


def test_the_codes_of_dropped_events_and_left_organisations_are_the_contracts() -> None:
    """The lists of the document are those of the enumerations."""
    dropped, left = meaning_of("CaseEventDropped", "why"), meaning_of("OrganisationLeft", "reason")

    assert dropped is not None
    assert left is not None
    assert (dropped.codes, left.codes) == (tuple(WhyDropped), tuple(WhyLeft))
