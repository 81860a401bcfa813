"""AsyncAPI 3.0 document of the events of Samspil, generated from their classes."""

from collections.abc import Mapping
from inspect import getdoc
from re import sub
from typing import Any, Final

from contracts import agreement, audit, consent, directory, evaluation, notify, portal, referral
from contracts.envelope import CONTENT_TYPE, PREFIX, Attributes, dataschema_of, source_of
from contracts.event import SERVICES, Event, Ticked, service_of, topic_of
from contracts.fields import meaning_of
from contracts.golden import Golden
from contracts.plain_schema import REMARKS, Schema, plain
from contracts.samples import CODE, sample_of

Document = dict[str, Any]

_MODULES: Final = {
    "agreement": agreement,
    "audit": audit,
    "consent": consent,
    "directory": directory,
    "evaluation": evaluation,
    "notify": notify,
    "portal": portal,
    "referral": referral,
}
_BINDING: Final = "0.5.0"

_ABOUT: Final = """\
Samspil runs the collaboration between a municipality's services for children and voluntary organisations.

Every event is a CloudEvent 1.0 in binary mode: attributes in headers named `ce_…`, facts in the body.
Bodies and headers hold random ids, dates, codes and numbers only, never a name, an address or a sentence.

Readers ignore unknown fields, headers, codes and types.
Within one version only optional fields are added or removed; a break is a new type that ends in `.v2`.

Events with the same key are in order.
`ce_sequence` counts them without holes per `ce_source` and `ce_subject`.
The same event may come more than once: a sequence that is not higher than the last one is a repetition,
unless `ce_timeline` is higher than that of the last one: then the source has lost events that it had sent.
The order across topics is not promised.
"""


def document(events: Mapping[str, type[Event]], golden: Golden) -> Document:
    """Return the AsyncAPI document of all events."""
    accepted = sum(len(golden.history(name)) for name in events)
    return {
        "asyncapi": "3.0.0",
        "id": "urn:samspil:events",
        "info": {
            "title": "Samspil events",
            "version": f"1.{accepted}.0",  # one step for every accepted schema
            "description": _ABOUT,
            "license": {"name": "MPL-2.0", "url": "https://www.mozilla.org/MPL/2.0/"},
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": _servers(),
        "channels": {service: _channel(service, events) for service in SERVICES},
        "operations": {name: entry for service in SERVICES for name, entry in _operations(service, events)},
        "components": {
            "messages": {name: _message(name, kind) for name, kind in sorted(events.items())},
            "schemas": {"headers": _headers()},
            "securitySchemes": {
                "scram": {
                    "type": "scramSha512",
                    "description": "A principal of its own for every service and every outside reader.",
                }
            },
        },
    }


def _servers() -> Document:
    return {
        "production": {
            "host": "{host}:{port}",
            "protocol": "kafka-secure",
            "description": "Apache Kafka 4 with TLS and SCRAM.",
            "variables": {
                "host": {"default": "localhost", "description": "The address that the operator gives."},
                "port": {"default": "9093"},
            },
            "security": [{"$ref": "#/components/securitySchemes/scram"}],
        },
        "embedded": {
            "host": "localhost:{port}",
            "protocol": "kafka",
            "description": "The broker that comes with the product, on one machine.",
            "variables": {"port": {"default": "8441", "description": "The port that `samspil up` prints."}},
        },
    }


def _channel(service: str, events: Mapping[str, type[Event]]) -> Document:
    topic = topic_of(service)
    return {
        "address": topic,
        "description": _MODULES[service].__doc__,
        "servers": [{"$ref": "#/servers/production"}, {"$ref": "#/servers/embedded"}],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _types_of(service, events)},
        "bindings": {"kafka": {"topic": topic, "bindingVersion": _BINDING}},
    }


def _operations(service: str, events: Mapping[str, type[Event]]) -> tuple[tuple[str, Document], ...]:
    """Return the operations on a topic: its owner sends, all others receive."""
    channel = {"$ref": f"#/channels/{service}"}
    messages = [{"$ref": f"#/channels/{service}/messages/{name}"} for name in _types_of(service, events)]
    send = {
        "action": "send",
        "summary": f"Publish what has happened in the {service} service.",
        "description": f"Only the {service} service writes here.",
    }
    receive = {
        "action": "receive",
        "summary": f"Read what has happened in the {service} service.",
        "description": "Other services, and outside readers that the operator has admitted.",
        "bindings": {"kafka": {"groupId": _GROUP, "bindingVersion": _BINDING}},
    }
    shared = {"channel": channel, "messages": messages}
    return (f"{service}.send", {**send, **shared}), (f"{service}.receive", {**receive, **shared})


_GROUP: Final = {
    "type": "string",
    "description": "The reader's own name; no reader shares a group with a service.",
}


def _types_of(service: str, events: Mapping[str, type[Event]]) -> list[str]:
    return sorted(name for name in events if service_of(name) == service)


def _message(name: str, kind: type[Event]) -> Document:
    payload = plain(kind.model_json_schema(), without=_REMARKS)
    _describe(payload, kind.__name__)
    return {
        "name": name,
        "title": sub(r"(?<=[a-z])(?=[A-Z])", " ", kind.__name__),
        "summary": getdoc(kind),
        "contentType": CONTENT_TYPE,
        "correlationId": {"location": f"$message.header#/{PREFIX}correlationid"},
        "headers": _headers_of(name, counted=not issubclass(kind, Ticked)),
        "payload": payload,
        "bindings": {"kafka": {"key": _KEY, "bindingVersion": _BINDING}},
        "examples": [{"name": "sample", "payload": sample_of(payload, name)}],
    }


def _describe(schema: Document, owner: str) -> None:
    """Give a body and the objects in it a title each, and their fields meanings and the codes of today."""
    schema["title"] = owner
    for field, inner in schema["properties"].items():
        inner.pop("title", None)
        meaning = meaning_of(owner, field)
        kinds = [inner, *inner.get("anyOf", ())]
        kinds += [one["items"] for one in kinds if "items" in one]
        if meaning is not None:
            inner["description"] = meaning.text
        for one in kinds:
            if one.get("type") == "object":
                _describe(one, one["title"])
            elif meaning is not None and meaning.codes and one.get("pattern") == CODE:
                one["x-extensible-enum"] = list(meaning.codes)


_KEY: Final = {"type": "string", "format": "uuid", "description": "The stream; equal to ce_partitionkey."}
_REMARKS: Final = REMARKS - {"description", "title"}
_SEQUENCE: Final = f"{PREFIX}sequence"
_TIMELINE: Final = f"{PREFIX}timeline"
_TRACES: Final = (f"{PREFIX}traceparent", "traceparent")


def _headers() -> Document:
    """Return the schema of the headers that all events share; a header that is absent is never null."""
    attributes = plain(Attributes.model_json_schema(), without=_REMARKS | {"title"})["properties"]
    headers: Document = {"content-type": {"type": "string", "const": CONTENT_TYPE}}
    headers |= {PREFIX + attribute: _header(schema) for attribute, schema in attributes.items()}
    headers["traceparent"] = {
        **headers[f"{PREFIX}traceparent"],
        "description": "The trace of the current hop.",
    }
    required = sorted(set(headers) - {*_TRACES, _SEQUENCE, _TIMELINE})
    example = sample_of({"type": "object", "properties": headers}, "headers")
    return {"type": "object", "properties": headers, "required": required, "examples": [example]}


def _header(schema: Schema) -> Document:
    """Return the schema of one header: the attribute's, without null and without a default."""
    present = next((inner for inner in schema.get("anyOf", ()) if inner.get("type") != "null"), schema)
    remark = {"description": schema["description"]} if "description" in schema else {}
    return {keyword: value for keyword, value in present.items() if keyword != "default"} | remark


def _headers_of(name: str, *, counted: bool) -> Document:
    """Return the schema of one event type's headers: the shared ones, and those fixed for the type."""
    fixed = {"type": name, "source": source_of(service_of(name)), "dataschema": dataschema_of(name)}
    return {
        "type": "object",
        "allOf": [{"$ref": "#/components/schemas/headers"}],
        "properties": {PREFIX + word: {"const": value} for word, value in fixed.items()},
        **({"required": [_SEQUENCE]} if counted else {"not": {"required": [_SEQUENCE]}}),
    }
