"""The web application of one or more services: routes, health, metrics, and what every answer carries."""

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.kernel import metrics
from services.kernel.decider.service import Service
from services.kernel.http.authentication import TokenVerifier
from services.kernel.http.content_language import DefaultLanguages
from services.kernel.http.openapi import DocumentedApp
from services.kernel.http.problems import BodyUnreadable, answer_problems, answer_to
from services.kernel.runtime.runtime import Runtime

LARGEST_BODY: Final = 64 * 1024
_HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"strict-transport-security", b"max-age=31536000"),
)
_NOTHING_IN_JSON: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
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
    for service in services:
        app.include_router(service.routes, dependencies=[Depends(reject_non_text)])
    app.state.house = DefaultLanguages(())
    answer_problems(app)
    app.add_middleware(ResponseMiddleware)
    return app


def mount(app: FastAPI, runtimes: Mapping[str, Runtime], token_verifier: TokenVerifier) -> None:
    """Put running services behind an application, with health and metrics."""
    app.state.runtimes = runtimes
    app.state.token_verifier = token_verifier
    app.state.house = DefaultLanguages(
        model for runtime in runtimes.values() for model in runtime.models.values()
    )

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
    async def numbers() -> PlainTextResponse:
        return PlainTextResponse(generate_latest(metrics.REGISTRY_OF_ALL), media_type=CONTENT_TYPE_LATEST)


async def reject_non_text(request: Request) -> None:
    """Refuse the character of the number 0, which is in no text and which the database cannot keep.

    And what is not UTF-8, as JSON between strangers is (RFC 8259, 8.1): in UTF-16 it is spelt otherwise.
    """
    body = await request.body()
    if b"\0" in body or not _is_utf8(body):
        raise BodyUnreadable
    places = {
        "body": _NOTHING_IN_JSON.search(body),
        "query": b"%00" in request.scope["query_string"],
    }
    if faults := [{"type": "nul", "loc": (place,), "msg": _HINT} for place, found in places.items() if found]:
        raise RequestValidationError(faults)


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


class ResponseMiddleware:
    """Bounds every body, times every request by its route, and adds the headers that every answer has."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand around an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = ""

        async def send_framed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
                message["headers"] = [*message["headers"], *_HEADERS]
            await send(message)

        try:
            await self._app(scope, _bounded(scope, receive), send_framed)
        except Exception as fault:
            if status:
                raise
            await answer_to(Request(scope), fault)(scope, receive, send_framed)
        finally:
            route = _route(scope)
            metrics.REQUESTS.labels(
                route.partition("/")[0] or "-", scope["method"], route, status or "none"
            ).observe(time.perf_counter() - began)


def _bounded(scope: Scope, receive: Receive) -> Receive:
    """Return a receive that refuses a body larger than it may be, at once where its length is told."""
    told = dict(scope["headers"]).get(b"content-length", b"0")
    size = 0 if told.isdigit() and int(told) <= LARGEST_BODY else LARGEST_BODY + 1

    async def take() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > LARGEST_BODY:
            raise HTTPException(413)
        return message

    return take


def _route(scope: Mapping[str, Any]) -> str:
    route = scope.get("route")
    return getattr(route, "path", "unknown").lstrip("/")
