"""Problem documents in the OpenAPI document: their shape, their responses, and which can occur where."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import BaseModel, Field

from services.kernel.errors import Refused
from services.kernel.http.problems import MEDIA, TITLES, codes_by_status

COMMON_PROBLEMS: Final[Mapping[int, str]] = {
    400: "The request, its address or its body cannot be read, or a command has no Idempotency-Key.",
    401: "There is no token, or none that is good.",
    403: "The actor has no right to this: `detail` names the roles that have.",
    404: "There is nothing with this id.",
    408: "Headers or body did not arrive in time: send it again.",
    413: "The body is larger than is taken here.",
    415: "The body is not sent as application/json.",
    421: "The server does not answer under the name in Host.",
    422: "Something is missing or not as agreed: `errors` says where.",
    429: "There were too many requests: wait as long as Retry-After says.",
    431: "The headers are larger, or more, than are taken here.",
    500: "A bug, or a key or a sealed value that cannot be used: nothing was changed.",
    503: "Something does not respond, or consents are not fresh: try again.",
}
COMMAND_PROBLEMS: Final[Mapping[int, str]] = {
    409: "A rule of the service says no.",
    412: "It was changed after it was seen.",
    428: "If-Match must say which version was seen.",
}
_OF_COMMANDS: Final = frozenset({"key-missing", "key-reused", "clock-backwards"})
_OF_BODIES: Final = frozenset({415})


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
    instance: str = Field(pattern="^urn:samspil:trace:[0-9a-f]{32}$")
    detail: str = ""
    errors: list[WrongField] = []


def statuses_of(*, command: bool, with_body: bool) -> list[int]:
    """Return the statuses of the problems that a call can be answered by."""
    found = {**COMMON_PROBLEMS, **(COMMAND_PROBLEMS if command else {})}
    return sorted(status for status in found if with_body or status not in _OF_BODIES)


def slugs_of(
    refusals: Iterable[type[Refused]], *, command: bool, with_body: bool, if_match: bool
) -> dict[str, list[str]]:
    """Return the codes of the problems that a call can be answered by, by status."""
    by_status = {status: set(codes) for status, codes in codes_by_status().items()}
    by_status[409] = {one.code() for one in refusals}
    for status in TITLES:
        by_status.setdefault(status, set()).add(f"http-{status}")
    found = {}
    for status in statuses_of(command=command, with_body=with_body):
        codes = by_status.get(status, set()) - (set() if command else _OF_COMMANDS)
        if codes and (status != 428 or if_match):  # noqa: PLR2004  HTTP's number
            found[str(status)] = sorted(codes)
    return found


def response(status: int, description: str, shared_headers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the response of a problem status."""
    headers = {"Content-Language": "The language of the sentence."}
    if status == 401:  # noqa: PLR2004  HTTP's number
        headers["WWW-Authenticate"] = "How to sign in."
    if status in {429, 503}:
        headers["Retry-After"] = "In how many seconds to come again."
    return {
        "description": description,
        "headers": {
            **{
                name: {"description": text, "required": True, "schema": {"type": "string"}}
                for name, text in headers.items()
            },
            **shared_headers,
        },
        "content": {MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
