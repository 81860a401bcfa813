"""OpenAPI document: shared headers, problem responses and the security scheme of every operation."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel, Field

from services.kernel.http.problems import MEDIA

_COMMAND_HEADERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "if-match": {"schema": {"type": "string", "pattern": '^(W/)?"[0-9]{1,18}"$'}},
    "idempotency-key": {"required": True, "schema": {"type": "string", "minLength": 1, "maxLength": 200}},
}
_SHARED_HEADERS: Final = frozenset({"accept-language", *_COMMAND_HEADERS})
_COMMON_PROBLEMS: Final[Mapping[int, str]] = {
    400: "The request, its address or its body cannot be read, or a command has no Idempotency-Key.",
    401: "There is no token, or none that is good.",
    403: "The actor has no right to this.",
    404: "There is nothing with this id.",
    408: "Headers or body did not arrive in time: send it again.",
    413: "The body is larger than is taken here.",
    421: "The server does not answer under the name in Host.",
    422: "Something is missing or not as agreed: `errors` says where.",
    429: "There were too many requests: wait as long as Retry-After says.",
    431: "The headers are larger, or more, than are taken here.",
    500: "A bug, or a key or a sealed value that cannot be used: nothing was changed.",
    503: "Something does not respond, or consents are not fresh: try again.",
}
_COMMAND_PROBLEMS: Final[Mapping[int, str]] = {
    409: "A rule of the service says no.",
    412: "It was changed after it was seen.",
    428: "If-Match must say which version was seen.",
}


class WrongField(BaseModel):
    """One field that is missing or not as agreed; `hint` is for programmers."""

    at: str
    what: str
    hint: str


class Problem(BaseModel):
    """A problem document (RFC 9457); `title` is in the language that `Content-Language` names."""

    type: str = Field(pattern="^urn:samspil:problem:[a-z0-9-]+$")
    title: str
    status: int
    detail: str = ""
    errors: list[WrongField] = []


class DocumentedApp(FastAPI):
    """FastAPI application whose document names every problem response."""

    def openapi(self) -> dict[str, Any]:
        """Return the document; it is made once."""
        if self.openapi_schema is None:
            document = super().openapi()
            shared: dict[str, Any] = {}
            for method, operation in _operations(document):
                _describe_operation(operation, shared, command=method != "get")
            _describe_components(document, shared)
        return super().openapi()


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for methods in document["paths"].values():
        yield from methods.items()


def _describe_operation(operation: dict[str, Any], shared: dict[str, Any], *, command: bool) -> None:
    """Refer to the shared headers and problem responses of an operation; collect the headers in `shared`."""
    for status in {**_COMMON_PROBLEMS, **_COMMAND_PROBLEMS} if command else _COMMON_PROBLEMS:
        operation["responses"][str(status)] = {"$ref": f"#/components/responses/{status}"}
    headers = _SHARED_HEADERS if command else _SHARED_HEADERS - _COMMAND_HEADERS.keys()
    own = [one for one in operation["parameters"] if one["name"] not in _SHARED_HEADERS]
    for one in operation["parameters"]:
        if one["name"] in headers:
            shared[one["name"]] = {**one, **_COMMAND_HEADERS.get(one["name"], {})}
    operation["parameters"] = own + [{"$ref": f"#/components/parameters/{name}"} for name in sorted(headers)]


def _problem_response(status: int, description: str) -> dict[str, Any]:
    headers = {"Content-Language": "The language of the sentence."}
    if status == 401:  # noqa: PLR2004  HTTP's number
        headers["WWW-Authenticate"] = "How to sign in."
    if status in {429, 503}:
        headers["Retry-After"] = "In how many seconds to come again."
    return {
        "description": description,
        "headers": {
            name: {"description": text, "required": True, "schema": {"type": "string"}}
            for name, text in headers.items()
        },
        "content": {MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _describe_components(document: dict[str, Any], shared: dict[str, Any]) -> None:
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
    components["parameters"] = dict(sorted(shared.items()))
    components["responses"] = {
        str(status): _problem_response(status, description)
        for status, description in sorted({**_COMMON_PROBLEMS, **_COMMAND_PROBLEMS}.items())
    }
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
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
