"""OpenTelemetry spans of our own: one a batch with links to its events, one a command."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, TraceFlags

_TRACEPARENT_LENGTH: Final = 55
_SAMPLED: Final = "01"
_LINKS: Final = 128

tracer = trace.get_tracer("samspil")


def set_up_tracing(endpoint: str, share: float) -> None:
    """Send spans to an OTLP endpoint; without one every span is a no-op."""
    if not endpoint:
        return
    provider = TracerProvider(
        resource=Resource.create({"service.name": "samspil"}), sampler=ParentBased(TraceIdRatioBased(share))
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    trace.set_tracer_provider(provider)


def context_of(traceparent: str) -> SpanContext | None:
    """Return the remote context that a traceparent names, where it is sampled."""
    if len(traceparent) != _TRACEPARENT_LENGTH or not traceparent.endswith(_SAMPLED):
        return None
    _, trace_id, span_id, _ = traceparent.split("-")
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(1))


def traceparent_of(span: Any) -> str:
    """Return the traceparent that continues a sampled span, or nothing."""
    context = span.get_span_context()
    if not context.is_valid or not context.trace_flags.sampled:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-01"


@contextmanager
def batch_span(service: str, traceparents: Sequence[str]) -> Iterator[None]:
    """Record a batch, linked to the sampled events in it; where none is sampled it costs nothing."""
    contexts = [context_of(traceparent) for traceparent in traceparents[:_LINKS]]
    links = [Link(context) for context in contexts if context is not None]
    if not links:
        yield
        return
    parent = trace.set_span_in_context(NonRecordingSpan(links[0].context))
    with tracer.start_as_current_span(
        f"{service} batch",
        context=parent,
        kind=SpanKind.CONSUMER,
        links=links,
        attributes={"messaging.system": "kafka", "messaging.batch.message_count": len(traceparents)},
    ):
        yield


@contextmanager
def command_span(service: str, command: object, headers: Mapping[str, str]) -> Iterator[str]:
    """Record a command, and yield the traceparent that its events carry on; nothing unless it is sampled."""
    incoming = context_of(headers.get("traceparent", ""))
    parent = trace.set_span_in_context(NonRecordingSpan(incoming)) if incoming else None
    name = f"{service} {type(command).__name__}"
    with tracer.start_as_current_span(name, context=parent, kind=SpanKind.SERVER) as span:
        yield traceparent_of(span) or (headers.get("traceparent", "") if incoming else "")
