"""What the OpenAPI document says of every call besides its own: who may, which headers, and every no."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel, Field

from services.kernel.http.problems import MEDIA

_COMMAND_HEADERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "if-match": {"schema": {"type": "string", "pattern": '^(W/)?"[0-9]{1,18}"$'}},
    "idempotency-key": {"required": True, "schema": {"type": "string", "minLength": 1, "maxLength": 200}},
}
_COMMON_PROBLEMS: Final[Mapping[int, str]] = {
    401: "There is no token, or none that is good.",
    403: "The actor has no right to this.",
    404: "There is nothing with this id.",
    413: "The body is larger than is taken here.",
    422: "Something is missing or not as agreed: `errors` says where.",
    500: "A bug, or a key or a sealed value that cannot be used: nothing was changed.",
    503: "Something does not answer or is not known for sure: try again.",
}
_COMMAND_PROBLEMS: Final[Mapping[int, str]] = {
    400: "The body is not JSON, or there is no Idempotency-Key.",
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
    """An answer that says no (RFC 9457); `title` is in the language that `Content-Language` names."""

    type: str = Field(pattern="^urn:samspil:problem:[a-z0-9-]+$")
    title: str
    status: int
    detail: str = ""
    errors: list[WrongField] = []


class DocumentedApp(FastAPI):
    """An application whose document tells every no."""

    def openapi(self) -> dict[str, Any]:
        """Return the document; it is made once."""
        if self.openapi_schema is None:
            document = super().openapi()
            for method, call in _calls(document):
                _describe_call(call, command=method != "get")
            _describe_schemas(document)
        return super().openapi()


def _calls(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for methods in document["paths"].values():
        yield from methods.items()


def _describe_call(call: dict[str, Any], *, command: bool) -> None:
    """Say of one call what the frame adds to it."""
    for status in {**_COMMON_PROBLEMS, **_COMMAND_PROBLEMS} if command else _COMMON_PROBLEMS:
        call["responses"][str(status)] = {"$ref": f"#/components/responses/{status}"}
    if not command:
        call["parameters"] = [one for one in call["parameters"] if one["name"] not in _COMMAND_HEADERS]
    for one in call["parameters"]:
        one.update(_COMMAND_HEADERS.get(one["name"], {}))


def _problem_response(status: int, why: str) -> dict[str, Any]:
    headers = {"Content-Language": "The language of the sentence."}
    if status == 401:  # noqa: PLR2004  HTTP's number
        headers["WWW-Authenticate"] = "How to sign in."
    if status == 503:  # noqa: PLR2004  HTTP's number
        headers["Retry-After"] = "In how many seconds to come again."
    return {
        "description": why,
        "headers": {
            name: {"description": said, "required": True, "schema": {"type": "string"}}
            for name, said in headers.items()
        },
        "content": {MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _describe_schemas(document: dict[str, Any]) -> None:
    """Put in the shape of a problem for that of the framework, and say how to sign in."""
    components = document["components"]
    shapes = components["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        shapes.pop(name, None)
    _close(shapes)
    for kind in (Problem, WrongField):
        shape = kind.model_json_schema(ref_template="#/components/schemas/{model}")
        shape.pop("$defs", None)
        shapes[kind.__name__] = shape
    components["responses"] = {
        str(status): _problem_response(status, why)
        for status, why in sorted({**_COMMON_PROBLEMS, **_COMMAND_PROBLEMS}.items())
    }
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    document["security"] = [{"token": []}]


def _close(shape: object) -> None:
    """Say of every object whose keys have a pattern that it takes no others."""
    if isinstance(shape, dict):
        if "patternProperties" in shape:
            shape.setdefault("additionalProperties", False)
        shape = list(shape.values())
    if isinstance(shape, list):
        for one in shape:
            _close(one)
