"""OpenAPI document: what a stranger's program needs to know of every operation."""

import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import APIRoute

from services.kernel.decider.operation import Operation
from services.kernel.decider.service import Service
from services.kernel.http.openapi_problems import (
    COMMAND_PROBLEMS,
    COMMON_PROBLEMS,
    Problem,
    WrongField,
    response,
    slugs_of,
    statuses_of,
)
from services.kernel.http.openapi_schemas import describe_fields, describe_parameter, example_of, rename
from services.kernel.http.possible_refusals import refusals_of

ABOUT: Final = """\
Every command needs an `Idempotency-Key`: the same request under the same key is carried out once.
The header `ETag` of an answer names the version of what was read or changed; a command that rests on what was
seen names it in `If-Match`.
Each operation names under `x-roles` the roles that may call it at all, and under `x-problems` the codes of
the problems (RFC 9457) that it can be answered by.
"""
_COMMAND_HEADERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "if-match": {"schema": {"type": "string", "pattern": '^(W/)?"[0-9]{1,18}"$'}, "example": '"4"'},
    "idempotency-key": {
        "required": True,
        "schema": {"type": "string", "minLength": 1, "maxLength": 200},
        "example": "0199a3c0-7b1e-7000-8000-000000000001",
    },
}
_SHARED_HEADERS: Final = frozenset({"accept-language", *_COMMAND_HEADERS})
_ANSWER_HEADERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "ETag": {
        "description": "The version that was read, or that the command has led to.",
        "schema": {"type": "string", "pattern": '^"[0-9]{1,18}"$'},
        "example": '"4"',
    },
    "Location": {"description": "The address of what was made.", "schema": {"type": "string"}},
    "traceparent": {
        "description": "The trace of the request (W3C): the log and the audit trail name it too.",
        "schema": {"type": "string", "pattern": "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"},
        "example": f"00-{'0123456789abcdef' * 2}-0123456789abcdef-00",
    },
}


class OperationsUndeclared(Exception):
    """A service has routes without a declaration: name them in its `operations.py`."""


def require_declared(service: Service) -> None:
    """Raise `OperationsUndeclared` for routes that no declaration gives roles, and the other way round."""
    if faults := sorted({route.name for route in _routes_of(service)} ^ service.operations.keys()):
        raise OperationsUndeclared(f"services/{service.name}/operations.py: {', '.join(faults)}")


class DocumentedApp(FastAPI):
    """FastAPI application whose document says all that a stranger's program needs."""

    def openapi(self) -> dict[str, Any]:
        """Return the document; it is made once."""
        if self.openapi_schema is None:
            _complete(super().openapi(), self.state.services)
        return super().openapi()


def _routes_of(service: Service) -> Iterator[APIRoute]:
    waiting = list(service.routes.routes)
    while waiting:
        route = waiting.pop(0)
        if isinstance(route, APIRoute) and route.include_in_schema:
            yield route
        waiting += getattr(getattr(route, "original_router", None), "routes", [])


def _complete(document: dict[str, Any], services: Mapping[str, Service]) -> None:
    """Add what the framework does not know."""
    rename(document)
    shared: dict[str, Any] = {}
    tags = []
    for service in services.values():
        for route in _routes_of(service):
            for method in route.methods or ():
                operation = document["paths"][route.path][method.lower()]
                _describe(operation, service, route, shared)
                _describe_answers(operation, service.operations[route.name], document)
        if service.operations:
            about = sys.modules[next(_routes_of(service)).endpoint.__module__].__doc__ or ""
            tags.append({"name": service.name, "description": about.strip().partition("\n")[0]})
    document["tags"] = tags
    document["servers"] = [{"url": "/", "description": "The server that this document comes from."}]
    document["info"]["description"] = ABOUT
    document["info"]["license"] = {"name": "Mozilla Public License 2.0", "identifier": "MPL-2.0"}
    _describe_components(document, shared)
    describe_fields(document)
    _add_examples(document)


def _describe(operation: dict[str, Any], service: Service, route: APIRoute, shared: dict[str, Any]) -> None:
    """Name an operation, its roles, parameters and problems; collect the shared headers in `shared`."""
    declared = service.operations[route.name]
    command, with_body = "get" not in {one.lower() for one in route.methods or ()}, "requestBody" in operation
    operation["operationId"] = declared.id
    operation["x-roles"] = sorted(declared.roles)
    headers = _SHARED_HEADERS if command else _SHARED_HEADERS - _COMMAND_HEADERS.keys()
    own = [one for one in operation["parameters"] if one["name"] not in _SHARED_HEADERS]
    for one in own:
        describe_parameter(one)
    for one in operation["parameters"]:
        if one["name"] in headers:
            shared[one["name"]] = _header({**one, **_COMMAND_HEADERS.get(one["name"], {})})
    if "if-match" in headers:
        shared["if-match-required"] = {**shared["if-match"], "required": True}
    names = {"if-match-required" if declared.if_match and n == "if-match" else n for n in headers}
    operation["parameters"] = own + [{"$ref": f"#/components/parameters/{name}"} for name in sorted(names)]
    for status in statuses_of(command=command, with_body=with_body):
        operation["responses"][str(status)] = {"$ref": f"#/components/responses/{status}"}
    if not with_body:
        operation["responses"].pop("415", None)
    refusals = refusals_of(service.decide, route.endpoint)
    operation["x-problems"] = slugs_of(
        refusals, command=command, with_body=with_body, if_match=declared.if_match
    )


def _header(one: dict[str, Any]) -> dict[str, Any]:
    """Return a header parameter without null, which no header can be."""
    schema = one["schema"]
    kinds = [kind for kind in schema.get("anyOf", ()) if kind.get("type") != "null"]
    return {**one, "schema": kinds[0] if kinds else {k: v for k, v in schema.items() if k != "title"}}


def _describe_answers(operation: dict[str, Any], declared: Operation, document: Mapping[str, Any]) -> None:
    """Name the headers of the answers that are no problem."""
    for status, answer in operation["responses"].items():
        if "$ref" in answer:
            continue
        content = answer["content"]["application/json"]["schema"]
        schema = document["components"]["schemas"].get(content.get("$ref", "").rpartition("/")[2], {})
        names = ["traceparent"]
        names += ["ETag"] if "version" in schema.get("properties", {}) else []
        names += ["Location"] if declared.location and status == "201" else []
        answer["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in sorted(names)}
        answer["description"] = "It was made." if status == "201" else "It was done, or this was found."


def _add_examples(document: dict[str, Any]) -> None:
    """Give each body and each answer one example, made of those of its fields."""
    for methods in document["paths"].values():
        for operation in methods.values():
            bodies = [operation["requestBody"]] if "requestBody" in operation else []
            for one in (*bodies, *operation["responses"].values()):
                for content in one.get("content", {}).values():
                    content["example"] = example_of(content["schema"], document)


def _describe_components(document: dict[str, Any], shared: Mapping[str, Any]) -> None:
    """Add headers, responses and the security scheme; replace the framework's problem schema by ours."""
    components = document["components"]
    shapes = components["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        shapes.pop(name, None)
    _close(shapes)
    for kind in (Problem, WrongField):
        shape = kind.model_json_schema(ref_template="#/components/schemas/{model}")
        shape.pop("$defs", None)
        shapes[kind.__name__] = shape
    components["headers"] = {**_ANSWER_HEADERS}
    components["parameters"] = dict(sorted(shared.items()))
    trace = {"traceparent": {"$ref": "#/components/headers/traceparent"}}
    components["responses"] = {
        str(status): response(status, description, trace)
        for status, description in sorted({**COMMON_PROBLEMS, **COMMAND_PROBLEMS}.items())
    }
    components["securitySchemes"] = {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A short-lived token of a sign-in service that the installation trusts.",
        }
    }
    document["security"] = [{"token": []}]


def _close(shape: object) -> None:
    """Close every object schema with a pattern for its keys against other keys."""
    if isinstance(shape, dict):
        if "patternProperties" in shape:
            shape.setdefault("additionalProperties", False)
        shape = list(shape.values())
    if isinstance(shape, list):
        for one in shape:
            _close(one)
