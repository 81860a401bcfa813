"""OpenTelemetry spans: one a command, one an event at each consumer, one a batch."""

import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from time import time_ns
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, TraceFlags

_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-01")
_ANY_TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})"
)
_LINKS: Final = 128
_TRACE_ID: Final[ContextVar[str]] = ContextVar("trace_id", default="")
"""The trace of the request under way."""

tracer = trace.get_tracer("samspil")


class _RequestIds(RandomIdGenerator):
    """Ids of spans: a trace that begins within a request has the request's id, which its answer names."""

    def generate_trace_id(self) -> int:
        """Return the trace id of the request under way, or a new one."""
        trace_id = _TRACE_ID.get()
        return int(trace_id, 16) if trace_id else super().generate_trace_id()


def begin_request_trace(incoming: str) -> str:
    """Return the traceparent of a request: it continues the caller's trace, or begins one (W3C)."""
    found = _ANY_TRACEPARENT.fullmatch(incoming)
    trace_id, flags = (found[1], found[2]) if found else (secrets.token_hex(16), "00")
    _TRACE_ID.set(trace_id)
    return f"00-{trace_id}-{secrets.token_hex(8)}-{flags}"


def trace_id_of(traceparent: str) -> str:
    """Return the trace id in a traceparent."""
    return traceparent[3:35]


def set_up_tracing(endpoint: str, share: float, name: str = "samspil") -> None:
    """Send the spans of what runs under a name to an OTLP endpoint; without one every span is a no-op."""
    if not endpoint:
        return
    provider = TracerProvider(
        resource=Resource.create({"service.name": name}),
        sampler=ParentBased(TraceIdRatioBased(share)),
        id_generator=_RequestIds(),
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    trace.set_tracer_provider(provider)


def parent_context(traceparent: str) -> SpanContext | None:
    """Return the remote context that a traceparent names, where it is sampled; nothing where it is none."""
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is None:
        return None
    context = SpanContext(int(found[1], 16), int(found[2], 16), is_remote=True, trace_flags=TraceFlags(1))
    return context if context.is_valid else None


def traceparent_of(span: Any) -> str:
    """Return the traceparent that continues a sampled span, or nothing."""
    context = span.get_span_context()
    if not context.is_valid or not context.trace_flags.sampled:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-01"


@contextmanager
def batch_span(service: str, events: Sequence[Any]) -> Iterator[None]:
    """Record a span for each sampled event of a batch; the events that it causes continue that span.

    Each event's span continues that of its sender; one span of the whole batch is linked to them all.
    Where no event is sampled it costs nothing.
    """
    sampled = [
        (event, context)
        for event in events
        if event.traceparent and (context := parent_context(event.traceparent))
    ]
    if not sampled:
        yield
        return
    began = time_ns()
    spans = [_event_span(service, event, context, began) for event, context in sampled]
    links = [Link(span.get_span_context()) for span in spans[:_LINKS]]
    with tracer.start_as_current_span(
        f"{service} batch",
        context=trace.set_span_in_context(spans[0]),
        kind=SpanKind.CONSUMER,
        links=links,
        attributes={"messaging.system": "kafka", "messaging.batch.message_count": len(events)},
    ):
        try:
            yield
        finally:
            for span in spans:
                span.end()


def _event_span(service: str, event: Any, sent_by: SpanContext, began: int) -> trace.Span:
    """Begin the span of one event; what it becomes is sent on as that span's child."""
    span = tracer.start_span(
        f"{service} {event.type}",
        context=trace.set_span_in_context(NonRecordingSpan(sent_by)),
        kind=SpanKind.CONSUMER,
        attributes={"samspil.service": service, "messaging.system": "kafka"},
        start_time=began,
    )
    event.traceparent = traceparent_of(span) or event.traceparent
    return span


@contextmanager
def command_span(service: str, command: object, traceparent: str) -> Iterator[str]:
    """Record a command of a request, and yield the traceparent that its events carry on."""
    incoming = parent_context(traceparent)
    # Where FastAPI records the request, its span continues the caller's already, and stands between.
    stands_between = trace.get_current_span().get_span_context().is_valid
    parent = None if stands_between or not incoming else trace.set_span_in_context(NonRecordingSpan(incoming))
    name = f"{service} {type(command).__name__}"
    about = {"samspil.service": service}
    with tracer.start_as_current_span(name, context=parent, kind=SpanKind.SERVER, attributes=about) as span:
        yield traceparent_of(span) or traceparent
