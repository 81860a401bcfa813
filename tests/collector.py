"""A collector of traces for the tests: it takes spans by OTLP over HTTP, as any collector does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from services.kernel.embedded_process import free_port

PATH: Final = "/v1/traces"


class Span(NamedTuple):
    """One span as it was sent."""

    trace: str
    id: str
    parent: str
    name: str
    service: str
    links: frozenset[str]


class Collector:
    """What was collected, in the order in which it came."""

    def __init__(self, url: str) -> None:
        """Collect at an address."""
        self.url = url
        self.spans: list[Span] = []

    async def take(self, request: web.Request) -> web.Response:
        """Take one portion of spans."""
        export = ExportTraceServiceRequest.FromString(await request.read())
        for resource in export.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    about = {each.key: each.value.string_value for each in span.attributes}
                    self.spans.append(
                        Span(
                            span.trace_id.hex(),
                            span.span_id.hex(),
                            span.parent_span_id.hex(),
                            span.name,
                            about.get("samspil.service", ""),
                            frozenset(link.span_id.hex() for link in span.links),
                        )
                    )
        return web.Response()


@asynccontextmanager
async def collector() -> AsyncIterator[Collector]:
    """Run a collector on the loopback address while the block runs."""
    port = free_port()
    collecting = Collector(f"http://127.0.0.1:{port}{PATH}")
    app = web.Application()
    app.router.add_post(PATH, collecting.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield collecting
    finally:
        await runner.cleanup()
