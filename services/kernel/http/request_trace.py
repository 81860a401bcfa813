"""Trace of a request: one id in the answer, in a problem's `instance`, in the log line and in the events."""

import time
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

import structlog

from services.kernel import metrics
from services.kernel.logging import log
from services.kernel.tracing import begin_request_trace, trace_id_of

TRACEPARENT: Final = "samspil.traceparent"
"""The key of a request's traceparent in its ASGI scope."""

_QUIET: Final = frozenset({"/live", "/ready", "/metrics"})
"""What is asked every few seconds by machines has no log line."""


def begin(scope: MutableMapping[str, Any]) -> str:
    """Begin or continue the trace of a request, and return its traceparent."""
    incoming = next((value for name, value in scope["headers"] if name == b"traceparent"), b"")
    scope[TRACEPARENT] = begin_request_trace(incoming.decode("latin-1"))
    structlog.contextvars.bind_contextvars(trace_id=trace_id_of(scope[TRACEPARENT]))
    return str(scope[TRACEPARENT])


def instance_of(traceparent: str) -> str:
    """Return how a problem document names the request that it answers."""
    return f"urn:samspil:trace:{trace_id_of(traceparent)}"


def end(scope: Mapping[str, Any], method: str, status: str, began: float) -> None:
    """Count a request by its route, and write its line: no id of a path, no query, nothing of a body."""
    seconds = time.perf_counter() - began
    service, known_method, route = _labels(scope, method)
    metrics.REQUESTS.labels(service, known_method, route, status).observe(seconds)
    if f"/{route}" not in _QUIET:
        role = scope.get("state", {}).get("role", "")
        log.info(
            "request",
            method=known_method,
            route=route,
            status=status,
            ms=round(seconds * 1e3, 1),
            role=role,
            trace_id=trace_id_of(scope[TRACEPARENT]),
        )
    structlog.contextvars.unbind_contextvars("trace_id")


def _labels(scope: Mapping[str, Any], method: str) -> tuple[str, str, str]:
    """Return service, method and route of a request; what no route has is one label, whatever was sent."""
    route = scope.get("route")
    path = getattr(route, "path", "unknown").lstrip("/")
    known = {*(getattr(route, "methods", None) or ())}
    known |= {"HEAD"} if "GET" in known else set()
    return path.partition("/")[0] or "-", method if method in known else "other", path
