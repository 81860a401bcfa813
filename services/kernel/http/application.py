"""Web application of one or more services: routes, health, metrics, and the middleware of every response."""

import re
import time
from collections.abc import Mapping, Sequence
from typing import Final

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.kernel import metrics
from services.kernel.decider.service import Service
from services.kernel.errors import ProblemError
from services.kernel.http import request_trace
from services.kernel.http.admission import Admission
from services.kernel.http.api_page import api_page_routes
from services.kernel.http.authentication import TokenVerifier
from services.kernel.http.content_language import DefaultLanguages
from services.kernel.http.denials import Denials
from services.kernel.http.openapi import DocumentedApp, require_declared
from services.kernel.http.problems import (
    SECURITY_HEADERS,
    BodyUnreadable,
    answer_problems,
    answer_to,
    problem_response,
)
from services.kernel.http.protocol import LARGEST_BODY
from services.kernel.http.refusals import ContentTypeUnsupported
from services.kernel.runtime.runtime import Runtime
from services.kernel.settings import Settings

_NUL_IN_JSON: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_HINT: Final = "A text cannot hold the character U+0000"


def application(services: Sequence[Service], version: str) -> FastAPI:
    """Return the application without anything running behind it; its document is the published OpenAPI."""
    app = DocumentedApp(
        title="Samspil",
        version=version,
        summary="Collaboration between a municipality's services for children and voluntary organisations.",
        docs_url=None,
        redoc_url=None,
        separate_input_output_schemas=False,
        redirect_slashes=False,  # it would lead to whatever server the request names
    )
    metrics.BUILD.labels(version).set(1)
    for service in services:
        require_declared(service)
        app.include_router(service.routes, dependencies=[Depends(reject_non_text), Depends(require_json)])
    app.state.default_languages = DefaultLanguages(())
    app.state.admission = Admission(Settings.model_construct(mode="test"))  # until it is served
    app.state.services = {service.name: service for service in services}
    answer_problems(app)
    app.add_middleware(ResponseMiddleware)
    return app


def mount(app: FastAPI, runtimes: Mapping[str, Runtime], token_verifier: TokenVerifier) -> None:
    """Mount running services in an application, with health and metrics."""
    app.state.runtimes = runtimes
    app.state.token_verifier = token_verifier
    app.state.denials = {name: Denials(runtime) for name, runtime in runtimes.items()}
    app.state.default_languages = DefaultLanguages(
        model for runtime in runtimes.values() for model in runtime.models.values()
    )

    if any(one.settings.mode == "embedded" or one.settings.api_page for one in runtimes.values()):
        app.include_router(api_page_routes())

    @app.get("/live", include_in_schema=False)
    async def live() -> PlainTextResponse:
        return PlainTextResponse("alive\n")

    @app.get("/ready", include_in_schema=False)
    async def ready(request: Request) -> JSONResponse:
        reasons = {
            name: why for name, runtime in runtimes.items() if (why := await runtime.unready_reasons())
        }
        del request
        return JSONResponse({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    @app.get("/metrics", include_in_schema=False)
    async def prometheus_metrics() -> PlainTextResponse:
        return PlainTextResponse(generate_latest(metrics.REGISTRY_OF_ALL), media_type=CONTENT_TYPE_LATEST)


async def reject_non_text(request: Request) -> None:
    """Refuse the character U+0000, which PostgreSQL cannot store, and a body that is not UTF-8.

    JSON between systems is UTF-8 (RFC 8259, 8.1); in another encoding U+0000 would have other bytes.
    """
    body = await request.body()
    if b"\0" in body or not _is_utf8(body):
        raise BodyUnreadable
    found_in = {
        "body": _NUL_IN_JSON.search(body),
        "query": b"%00" in request.scope["query_string"],
    }
    if faults := [{"type": "nul", "loc": (part,), "msg": _HINT} for part, found in found_in.items() if found]:
        raise RequestValidationError(faults)


async def require_json(request: Request) -> None:
    """Raise `ContentTypeUnsupported` where a call that takes a body is not sent as JSON."""
    route = request.scope["route"]
    if route.include_in_schema and route.body_field is not None:
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media != "application/json" and not media.endswith("+json"):
            raise ContentTypeUnsupported


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


class ResponseMiddleware:
    """Middleware: admits a request, bounds its body, times it by its route, and adds the security headers.

    A header that the response has keeps its value: two policies would both apply.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, method = time.perf_counter(), "", scope["method"]
        scope = {**scope}  # the server's own goes on to say which method was asked for
        trace = (b"traceparent", request_trace.begin(scope).encode())
        if method == "HEAD":  # answered like GET, and the server leaves the body out (RFC 9110, 9.3.2)
            scope["method"] = "GET"

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
                own = {name for name, _ in message["headers"]}
                added = (header for header in SECURITY_HEADERS if header[0] not in own)
                message["headers"] = [*message["headers"], *added, trace]
            await send(message)

        admission: Admission = scope["app"].state.admission
        try:
            await admission.check(scope)
            await self._app(scope, _bounded(scope, receive), send_with_headers)
        except ClientDisconnect:
            pass  # nobody is left to answer
        except ProblemError as problem:
            await problem_response(Request(scope), problem)(scope, receive, send_with_headers)
        except Exception as fault:
            if status:
                raise
            await answer_to(Request(scope), fault)(scope, receive, send_with_headers)
        finally:
            admission.count(scope)
            request_trace.end(scope, method, status or "none", began)


def _bounded(scope: Scope, receive: Receive) -> Receive:
    """Return a receive that refuses an oversized body, at once where Content-Length declares it."""
    declared = dict(scope["headers"]).get(b"content-length", b"0")
    size = 0 if declared.isdigit() and int(declared) <= LARGEST_BODY else LARGEST_BODY + 1

    async def take() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > LARGEST_BODY:
            raise HTTPException(413)
        return message

    return take
