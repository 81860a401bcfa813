"""A collector of traces for the tests: it takes spans by OTLP over HTTP, as any collector does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

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

    def __init__(self) -> None:
        """Begin with nothing; the address is set once it listens."""
        self.url = ""
        self.spans: list[Span] = []

    async def take(self, request: web.Request) -> web.Response:
        """Take one batch of spans."""
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
    collecting = Collector()
    app = web.Application()
    app.router.add_post(PATH, collecting.take)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        collecting.url = f"http://127.0.0.1:{runner.addresses[0][1]}{PATH}"
        yield collecting
    finally:
        await runner.cleanup()
