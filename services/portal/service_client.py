"""HTTP client of the services: each request in the name of the person who is signed in."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
from msgspec import Struct

from contracts.model_parts import Language

_TOTAL_SECONDS: Final = 5.0
_CONNECT_SECONDS: Final = 1.0
_CONNECTIONS: Final = 100
_SILENT_STATUS: Final = frozenset({500, 502, 503, 504})


class Silent:
    """What stands where a service did not answer: the page shows a sentence in its place."""

    def __bool__(self) -> bool:
        """Be false, as nothing is known."""
        return False


SILENT: Final = Silent()


class ServiceSilent(Exception):
    """A service does not answer, or cannot now; nothing is known of what a command did."""

    def __init__(self, service: str, code: str = "") -> None:
        """Name the service, and the problem where it said one."""
        super().__init__(service)
        self.service = service
        self.code = code


class ServiceProblem(Exception):
    """A service refused: HTTP status, code, the sentence in the person's language, and faults of fields."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        """Take the problem document (RFC 9457)."""
        self.status = status
        self.code = str(body.get("type", "")).rpartition(":")[2]
        self.title = str(body.get("title", ""))
        self.body = body
        super().__init__(self.code)

    @property
    def errors(self) -> list[Mapping[str, Any]]:
        """The faults of single fields, as the service lists them."""
        return list(self.body.get("errors", ()))


class Answer(Struct, frozen=True):
    """What a service answered: the document, and the version of what it shows."""

    body: Any
    version: str = ""


class ServiceClient:
    """Client of all services, over one pool of connections."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        """Reach each service at `address`, in which `{service}` stands for its name."""
        self._session = session
        self._address = address

    async def ask(
        self,
        method: str,
        service: str,
        path: str,
        *,
        token: str,
        language: Language,
        body: Any = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Return what a service answers; raise `ServiceProblem` for its refusal, `ServiceSilent` for none."""
        url = self._address.format(service=service) + path
        sent = {"Authorization": f"Bearer {token}", "Accept-Language": language, **(headers or {})}
        try:
            async with self._session.request(
                method, url, json=body, params=params, headers=sent, allow_redirects=False
            ) as response:
                if response.status in _SILENT_STATUS:
                    raise ServiceSilent(service, await _code_of(response))
                document = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError):
            raise ServiceSilent(service) from None
        if response.status >= 400:  # noqa: PLR2004  HTTP's number
            raise ServiceProblem(response.status, document if isinstance(document, dict) else {})
        return Answer(document, response.headers.get("ETag", "").strip('"'))


async def _code_of(response: aiohttp.ClientResponse) -> str:
    """Return the code of a problem that a service answered, where it is one."""
    try:
        document = await response.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return ""
    return str(document.get("type", "")).rpartition(":")[2] if isinstance(document, dict) else ""


@asynccontextmanager
async def service_client(address: str) -> AsyncIterator[ServiceClient]:
    """Keep a client open while the block runs."""
    timeout = aiohttp.ClientTimeout(total=_TOTAL_SECONDS, connect=_CONNECT_SECONDS)
    connector = aiohttp.TCPConnector(limit=_CONNECTIONS)
    async with aiohttp.ClientSession(
        timeout=timeout, connector=connector, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        yield ServiceClient(session, address)
