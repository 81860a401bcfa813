"""Problem details (RFC 9457): every error as a response, and the one table of HTTP status codes."""

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from contracts.event import SERVICES
from contracts.model_parts import Language
from services.kernel import metrics
from services.kernel.clock import ClockBackwards
from services.kernel.errors import (
    AccessNotRecorded,
    ConsentUnknown,
    IdempotencyKeyMissing,
    IdempotencyKeyReused,
    NotAllowed,
    NotFound,
    PreconditionRequired,
    ProblemError,
    Refused,
    Unavailable,
    VersionConflict,
    roles_named,
)
from services.kernel.http.authentication import SignInUnverifiable, TokenInvalid, TokenMissing
from services.kernel.http.content_language import language_of
from services.kernel.http.denials import DENIALS
from services.kernel.http.field_errors import field_error
from services.kernel.http.refusals import (
    AddressUnreadable,
    ContentTypeUnsupported,
    HeadersTooLarge,
    HostUnknown,
    RequestTooSlow,
    RequestUnreadable,
    TooManyConnections,
    TooManyRequests,
)
from services.kernel.http.request_trace import TRACEPARENT, instance_of
from services.kernel.http.translations import context_of, translate
from services.kernel.logging import log
from services.kernel.postgres.connections import is_transient
from services.kernel.privacy.encryption import DecryptionFailed
from services.kernel.privacy.key_store import KeyStoreMismatch, KeyStoreUnavailable

_STATUS: Final[Mapping[type[ProblemError], int]] = {
    TokenMissing: 401,
    TokenInvalid: 401,
    SignInUnverifiable: 503,
    NotAllowed: 403,
    NotFound: 404,
    AccessNotRecorded: 500,
    VersionConflict: 412,
    PreconditionRequired: 428,
    IdempotencyKeyMissing: 400,
    IdempotencyKeyReused: 422,
    ConsentUnknown: 503,
    Unavailable: 503,
    ClockBackwards: 409,
    KeyStoreUnavailable: 503,
    KeyStoreMismatch: 500,
    DecryptionFailed: 500,
    Refused: 409,
    AddressUnreadable: 400,
    ContentTypeUnsupported: 415,
    RequestUnreadable: 400,
    RequestTooSlow: 408,
    HostUnknown: 421,
    TooManyRequests: 429,
    HeadersTooLarge: 431,
    TooManyConnections: 503,
    ProblemError: 400,
}
MEDIA: Final = "application/problem+json"
SECURITY_HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"strict-transport-security", b"max-age=31536000"),
)
TITLES: Final = {
    404: "There is nothing at this address.",
    405: "This address does not take that method.",
    413: "This body is larger than is taken here.",
}
_WITHOUT_PAGES: Final = frozenset({*SERVICES, "live", "ready", "metrics", "development", "operations"})
"""First words of addresses at which only programs ask."""

_RETRY_SECONDS: Final = 5
OTHER_TITLE: Final = "This cannot be done."


class BodyUnreadable(ProblemError):
    """The body is not JSON: send an object, with the content type application/json."""


class BodyNotUnderstood(ProblemError):
    """Some fields are missing or are not as agreed: see `errors`."""


class TryLater(ProblemError):
    """Something that we need does not answer: try again with the same Idempotency-Key."""


class Bug(ProblemError):
    """This should not have happened: nothing was changed; it was noted without what you sent."""


def answer_problems(app: FastAPI) -> None:
    """Register the handlers that answer errors by problem documents; the middleware answers the rest."""
    app.add_exception_handler(ProblemError, _answer_error)
    app.add_exception_handler(RequestValidationError, _answer_validation)
    app.add_exception_handler(HTTPException, _answer_http)


async def _answer_error(request: Request, fault: Exception) -> Response:
    """Answer an error; a denial is first recorded in the audit trail, whatever the request asked for."""
    problem = fault if isinstance(fault, ProblemError) else Bug()
    record_denial = getattr(request.state, "record_denial", None)
    if isinstance(problem, DENIALS) and record_denial is not None:
        await record_denial(problem)
    return problem_response(request, problem)


def problem_response(request: Request, problem: ProblemError) -> Response:
    """Return the response to a problem, and count it.

    A `NotFound` is answered without its hint: what is not there and what is somebody else's look the same.
    """
    kind = type(problem)
    status = status_of(kind)
    metrics.REFUSED.labels("http", problem.code()).inc()
    headers = {}
    if status == 401:  # noqa: PLR2004  HTTP's number
        headers["WWW-Authenticate"] = "Bearer"
    if status in {429, 503}:
        seconds = problem.seconds if isinstance(problem, TooManyRequests) else _RETRY_SECONDS
        headers["Retry-After"] = str(seconds)
    more = {} if kind is NotFound else {"detail": problem.detail or _roles_for(request, problem)}
    return _problem(request, status, kind, more, headers)


def _roles_for(request: Request, problem: ProblemError) -> str:
    """Return for whom a call is, where its refusal does not say it itself."""
    roles = getattr(request.state, "allowed_roles", ())
    return roles_named(roles) if isinstance(problem, NotAllowed) and roles else ""


def status_of(kind: type[ProblemError]) -> int:
    """Return the HTTP status of a kind of problem."""
    return next(_STATUS[base] for base in kind.__mro__ if base in _STATUS)


def codes_by_status() -> dict[int, set[str]]:
    """Return the codes of the problems that are not a service's own rules, by HTTP status."""
    found: dict[int, set[str]] = {400: {BodyUnreadable.code()}, 422: {BodyNotUnderstood.code()}}
    found |= {500: {Bug.code()}, 503: {TryLater.code()}}
    for kind, status in _STATUS.items():
        if kind not in {ProblemError, Refused}:
            found.setdefault(status, set()).add(kind.code())
    return found


def document_of(kind: type[ProblemError], language: Language, traceparent: str) -> tuple[bytes, Language]:
    """Return a problem document for a request that no route has seen, and the language of its title."""
    translated, spoken = translate(language, context_of(kind), kind.title())
    body = {
        "type": f"urn:samspil:problem:{kind.code()}",
        "title": translated,
        "status": status_of(kind),
        "instance": instance_of(traceparent),
    }
    return json.dumps(body, ensure_ascii=False).encode(), spoken


async def _answer_validation(request: Request, fault: Exception) -> Response:
    faults = fault.errors() if isinstance(fault, RequestValidationError) else []
    if any(entry["type"] == "json_invalid" for entry in faults):
        return _problem(request, 400, BodyUnreadable)
    return _problem(request, 422, BodyNotUnderstood, {"errors": list(map(field_error, faults))})


async def _answer_http(request: Request, fault: Exception) -> Response:
    status = fault.status_code if isinstance(fault, HTTPException) else 500
    if status == 400:  # noqa: PLR2004  HTTP's number; the framework's, of a body that its parser breaks on
        return _problem(request, 400, BodyUnreadable)
    headers = fault.headers if isinstance(fault, HTTPException) else None
    if status == 405:  # noqa: PLR2004  HTTP's number
        headers = {"Allow": ", ".join(_methods_at(request))}
    return _document(request, status, f"http-{status}", title_of(status), {}, headers)


def _methods_at(request: Request) -> list[str]:
    """Return all methods of an address (RFC 9110, 10.2.1); each of its routes has its own only."""
    routes = request.app.routes
    return [
        method
        for method in ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
        if any(
            route.matches({**request.scope, "method": "GET" if method == "HEAD" else method})[0] is Match.FULL
            for route in routes
        )
    ]


def title_of(status: int) -> tuple[str, str]:
    """Return the translation context and the title of a response that HTTP itself defines."""
    return (f"kernel/http-{status}", TITLES[status]) if status in TITLES else ("kernel/http", OTHER_TITLE)


def answer_to(request: Request, fault: Exception) -> Response:
    """Return the response to an unexpected exception: 503 for a transient fault, else 500 for a bug."""
    if is_transient(fault):
        log.warning("request_failed", kind=type(fault).__name__)
        return _problem(request, 503, TryLater, headers={"Retry-After": "1"})
    metrics.BUGS.labels("http", type(fault).__name__).inc()
    log.error("request_bug", kind=type(fault).__name__)
    return _problem(request, 500, Bug)


def _problem(
    request: Request,
    status: int,
    kind: type[ProblemError],
    more: Mapping[str, Any] = MappingProxyType({}),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the problem document of a kind of error."""
    return _document(request, status, kind.code(), (context_of(kind), kind.title()), more, headers)


class PageProblem(NamedTuple):
    """What went wrong with the request for a web page: HTTP status, code, sentence and its language."""

    status: int
    code: str
    title: str
    language: Language


ProblemPage = Callable[[Request, PageProblem, Mapping[str, str] | None], Response]
"""Renders a problem as a web page."""


def page_of(request: Request) -> ProblemPage | None:
    """Return what renders a problem as a page, where a browser asked for something that is no service's."""
    render: ProblemPage | None = getattr(request.app.state, "problem_page", None)
    first = request.url.path.lstrip("/").partition("/")[0]
    asked = "text/html" in request.headers.get("accept", "")
    return render if asked and first not in _WITHOUT_PAGES else None


def _document(
    request: Request,
    status: int,
    slug: str,
    title: tuple[str, str],
    more: Mapping[str, Any],
    headers: Mapping[str, str] | None,
) -> Response:
    """Return a problem document in the language of the request; it repeats nothing that was sent."""
    translated, language = translate(language_of(request), *title)
    if (page := page_of(request)) is not None:
        return page(request, PageProblem(status, slug, translated, language), headers)
    body = {"type": f"urn:samspil:problem:{slug}", "title": translated, "status": status}
    if traceparent := request.scope.get(TRACEPARENT):
        body["instance"] = instance_of(traceparent)
    body.update({name: value for name, value in more.items() if value})
    language_headers = {"Content-Language": language, "Vary": "Accept-Language"}
    return JSONResponse(body, status, headers={**(headers or {}), **language_headers}, media_type=MEDIA)
