"""Connections of the HTTP server: uvicorn's protocol on httptools, bounded in size, time and number."""

import asyncio
import http
from collections import Counter
from ipaddress import ip_address, ip_network
from math import inf
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from contracts.model_parts import Language
from services.kernel import metrics
from services.kernel.errors import ProblemError
from services.kernel.http.content_language import DefaultLanguages
from services.kernel.http.problems import MEDIA, SECURITY_HEADERS, document_of, status_of
from services.kernel.http.refusals import (
    HeadersTooLarge,
    RequestTooSlow,
    RequestUnreadable,
    TooManyConnections,
)
from services.kernel.settings import Settings
from services.kernel.tracing import begin_request_trace

LARGEST_BODY: Final = 64 * 1024
_MOST_OF_A_BODY: Final = 4 * LARGEST_BODY
"""What is read of a body, with its chunk headers, before the connection is closed."""

_FIELD_OVERHEAD: Final = 4
"""Bytes of a header beside name and value: colon, space, line end."""


class OpenConnections:
    """Number of open connections, in total and by address; a trusted proxy's count in total only."""

    def __init__(self, settings: Settings) -> None:
        """Take the bounds that the settings name."""
        self._most = settings.http_connections
        self._most_by_address = settings.http_address_connections
        self._proxies = [ip_network(one.strip()) for one in settings.http_trusted_proxies.split(",") if one]
        self._total = 0
        self._by_address: Counter[str] = Counter()

    def add(self, address: str) -> bool:
        """Count a connection and return whether it is within the bounds."""
        self._total += 1
        self._by_address[address] += 1
        return self._total <= self._most and (
            self._by_address[address] <= self._most_by_address or self._is_proxy(address)
        )

    def remove(self, address: str) -> None:
        """Count a connection no more."""
        self._total -= 1
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]

    def _is_proxy(self, address: str) -> bool:
        return bool(address) and any(ip_address(address) in network for network in self._proxies)


class BoundedProtocol(HttpToolsProtocol):
    """A connection that refuses what is too large, too slow or too much, and then closes."""

    settings: ClassVar[Settings]
    open: ClassVar[OpenConnections]
    languages: ClassVar[DefaultLanguages]

    def __init__(self, *arguments: Any, **more: Any) -> None:
        """Begin with nothing received."""
        super().__init__(*arguments, **more)
        self._address = ""
        self._in_head = True
        self._received = 0  # of the head or the body that is being received
        self._head_bytes = 0  # of the fields that are complete
        self._fields = 0
        self._deadline = inf
        self._timer: asyncio.TimerHandle | None = None
        self._refusal: type[ProblemError] = RequestUnreadable

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuse a connection too many; else give it time for its first request."""
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        if not self.open.add(self._address):
            self._refuse(TooManyConnections)
            return
        self._expect_by(self.settings.http_header_seconds)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Release what the connection holds."""
        self.open.remove(self._address)
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, unless it is more than is taken."""
        if self._in_head and not self._received:
            self._expect_by(self.settings.http_header_seconds)
        self._received += len(data)
        if not self._in_head and self._received > _MOST_OF_A_BODY:
            self.transport.close()
            return
        super().data_received(data)
        if self._in_head and self._received > self.settings.http_header_bytes:
            self._refuse(HeadersTooLarge)

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser or one of our own callbacks refused, by a problem document."""
        del msg
        self._refuse(self._refusal)

    def on_message_begin(self) -> None:
        """Begin to count a request's head."""
        super().on_message_begin()
        self._head_bytes = self._fields = 0

    def on_url(self, url: bytes) -> None:
        """Take a part of the request target."""
        super().on_url(url)
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer."""
        self._fields += 1
        self._count_head(len(name) + len(value) + _FIELD_OVERHEAD)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Give the body its time, and begin the request."""
        self._in_head, self._received = False, 0
        self._expect_by(self.settings.http_body_seconds)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Expect nothing until the next request begins."""
        self._in_head, self._received = True, 0
        self._deadline = inf
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Give the client time to read the response."""
        super().pause_writing()
        self._expect_by(self.settings.http_body_seconds)

    def resume_writing(self) -> None:
        """Expect nothing more of a client that reads."""
        super().resume_writing()
        if self._in_head and not self._received:
            self._deadline = inf

    def _count_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > self.settings.http_header_bytes or self._fields > self.settings.http_headers:
            self._refusal = HeadersTooLarge
            raise HeadersTooLarge  # the parser hands it to `send_400_response`

    def _expect_by(self, seconds: float) -> None:
        self._deadline = self.loop.time() + seconds

    def _watch(self) -> None:
        """Look at the deadline now and then: a timer for each request would cost more than the look."""
        if self.transport.is_closing():
            return
        remaining = self._deadline - self.loop.time()
        if remaining <= 0:
            self._expire()
            return
        shortest = min(self.settings.http_header_seconds, self.settings.http_body_seconds)
        self._timer = self.loop.call_later(min(remaining, shortest / 4), self._watch)

    def _expire(self) -> None:
        """Close a connection whose deadline has passed, with a response where a request has begun."""
        if self.flow.write_paused:
            metrics.HTTP_REFUSED.labels("response-unread").inc()
            self.transport.abort()
        elif not self._in_head and self.cycle.response_complete:
            self.transport.close()  # answered before all of the body was there, which nobody waits for
        elif self._in_head and not self._received:
            metrics.HTTP_REFUSED.labels("connection-unused").inc()
            self.transport.close()
        else:
            self._refuse(RequestTooSlow)

    def _refuse(self, kind: type[ProblemError]) -> None:
        """Answer by a problem document, unless another response has begun, and close."""
        metrics.HTTP_REFUSED.labels(kind.code()).inc()
        if self.cycle is not None and not self.cycle.response_complete:
            begun = self.cycle.response_started
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        else:
            begun = False
        if not begun and not self.transport.is_closing():
            self.transport.write(closing_response(kind, self.languages.language(None)))
        self.transport.close()


def bounded_protocol(settings: Settings, languages: DefaultLanguages) -> type[BoundedProtocol]:
    """Return the protocol class of one server, which counts its connections together."""
    members = {"settings": settings, "open": OpenConnections(settings), "languages": languages}
    return type("ServerProtocol", (BoundedProtocol,), members)


def closing_response(kind: type[ProblemError], language: Language) -> bytes:
    """Return the bytes of a response that ends its connection."""
    traceparent = begin_request_trace("")
    body, spoken = document_of(kind, language, traceparent)
    status = http.HTTPStatus(status_of(kind))
    headers = (
        (b"content-type", MEDIA.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"content-language", spoken.encode()),
        *(((b"retry-after", b"5"),) if status == http.HTTPStatus.SERVICE_UNAVAILABLE else ()),
        (b"traceparent", traceparent.encode()),
        (b"connection", b"close"),
        *SECURITY_HEADERS,
    )
    lines = [f"HTTP/1.1 {status.value} {status.phrase}".encode(), *(b"%s: %s" % header for header in headers)]
    return b"\r\n".join([*lines, b"", body])
