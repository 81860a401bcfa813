"""Requests over HTTP: few at a time, timed by route, and repeated while the server is away."""

import asyncio
import re
import time
from array import array
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

import aiohttp
import msgspec
from msgspec import Struct

AT_ONCE: Final = 16
_AWAY: Final = frozenset({502, 503, 504})
_PATIENCE_SECONDS: Final = 900.0
_FIRST_PATIENCE_SECONDS: Final = 30.0
_REPORT_AFTER: Final = 3.0
_REPORT_EVERY: Final = 30.0
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 2.0
_SECONDS: Final = 60.0
_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_JSON: Final = "application/json"
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode


class Person(Struct, frozen=True):
    """Who sends a request: somebody with a random id, in one role."""

    id: UUID
    role: str
    department_id: UUID | None = None
    organisation_id: UUID | None = None


class Answer(Struct, frozen=True):
    """What the server said, and how often it was sent until it did."""

    status: int
    body: Any
    version: int | None
    times: int

    @property
    def slug(self) -> str:
        """Return the stable name of a refusal, and which fields it is about."""
        kind = self.body.get("type", "") if isinstance(self.body, dict) else ""
        slug = str(kind).rpartition(":")[2] or f"http-{self.status}"
        faults = self.body.get("errors", ()) if isinstance(self.body, dict) else ()
        return " ".join((slug, *(str(fault["at"]) for fault in faults)))


class ServerAway(Exception):
    """The server did not come back in time."""


class Unexpected(Exception):
    """The server said no where the demo had reason to expect a yes."""


class Wire:
    """HTTP client: `seconds` holds how long each route took, `away` how often it had no response."""

    def __init__(
        self, url: str, tenant: str, session: aiohttp.ClientSession, report: Callable[[str], None]
    ) -> None:
        """Talk to a server for the people of one municipality; `report` is called when it stays away."""
        self.url = url.rstrip("/")
        self.seconds: dict[str, array[float]] = {}
        self.answered = 0
        self.away: Counter[str] = Counter()
        self._report = report
        self._reported_at = -_REPORT_EVERY
        self._tenant = tenant
        self._session = session
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._eyes: defaultdict[Person, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._tokens: dict[Person, str] = {}

    async def get(self, who: Person | None, path: str, *, seconds: float = _SECONDS) -> Answer:
        """Read something."""
        return await self._send("GET", path, await self._headers(who), None, seconds)

    async def read_case(self, who: Person, path: str) -> Answer:
        """Read something that leaves a record; no person reads two things at once."""
        async with self._eyes[who]:
            return await self.get(who, path)

    async def read(self, who: Person | None, path: str, *, seconds: float = _SECONDS) -> Any:
        """Return what may surely be read; raise `Unexpected` where it may not."""
        answer = await self.get(who, path, seconds=seconds)
        if answer.status != 200:  # noqa: PLR2004  HTTP's number
            raise Unexpected(f"{answer.status} {answer.slug} at GET {_route(path)}")
        return answer.body

    async def post(
        self,
        who: Person | None,
        path: str,
        body: object,
        *,
        key: str = "",
        version: int | None = None,
        seconds: float = _SECONDS,
    ) -> Answer:
        """Ask for a step, under a key that makes it done once, having seen a version."""
        headers = await self._headers(who)
        if key:
            headers["Idempotency-Key"] = key
        if version is not None:
            headers["If-Match"] = f'"{version}"'
        data = None if body is None else _encode(body)
        return await self._send("POST", path, headers, data, seconds)

    async def _headers(self, who: Person | None) -> dict[str, str]:
        if who is None:
            return {"Content-Type": _JSON}
        token = self._tokens.get(who)
        if token is None:
            token = self._tokens[who] = await self._token(who)
        return {"Content-Type": _JSON, "Authorization": f"Bearer {token}"}

    async def _token(self, who: Person) -> str:
        bearer = {"sub": who.id, "role": who.role, "tenant": self._tenant}
        if who.department_id:
            bearer["department_id"] = who.department_id
        if who.organisation_id:
            bearer["organisation_id"] = who.organisation_id
        answer = await self.post(None, "/development/tokens", bearer)
        if answer.status != 200:  # noqa: PLR2004  HTTP's number
            raise Unexpected(f"{answer.status} {answer.slug}: is this a server of `samspil up`?")
        return str(answer.body["token"])

    async def _send(
        self, method: str, path: str, headers: Mapping[str, str], data: bytes | None, seconds: float
    ) -> Answer:
        """Send until an answer comes, with a growing pause between."""
        patience = _PATIENCE_SECONDS if self.answered else _FIRST_PATIENCE_SECONDS
        pause, times, since = _FIRST_PAUSE, 0, time.monotonic()
        while True:
            times += 1
            answer = await self._once(method, path, headers, data, seconds, times)
            if answer is not None:
                return answer
            if time.monotonic() > since + patience:
                raise ServerAway(f"{self.url} has not answered for {patience:.0f} seconds")
            self._complain(since)
            await asyncio.sleep(pause)
            pause = min(pause * 1.6, _LONGEST_PAUSE)

    def _complain(self, since: float) -> None:
        now = time.monotonic()
        if now - since > _REPORT_AFTER and now - self._reported_at > _REPORT_EVERY:
            self._reported_at = now
            self._report(f"{self.url} does not answer; the same requests are sent again until it does")

    async def _once(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        data: bytes | None,
        seconds: float,
        times: int,
    ) -> Answer | None:
        """Send once; None without a response, or where it was to come again later."""
        timeout = aiohttp.ClientTimeout(total=seconds)
        async with self._slots:
            began = time.perf_counter()
            try:
                async with self._session.request(
                    method, self.url + path, headers=headers, data=data, timeout=timeout
                ) as response:
                    raw, status, tag = await response.read(), response.status, response.headers.get("ETag")
            except (aiohttp.ClientError, OSError, TimeoutError) as fault:
                self.away[type(fault).__name__] += 1
                return None
            took = time.perf_counter() - began
        if status in _AWAY:
            self.away[f"{status} {_slug(raw)}"] += 1
            return None
        self.answered += 1
        self.seconds.setdefault(f"{method} {_route(path)}", array("d")).append(took)
        version = int(tag.strip('"')) if tag else None
        return Answer(status, _decode(raw) if raw else None, version, times)


def _slug(raw: bytes) -> str:
    try:
        return str(_decode(raw)["type"]).rpartition(":")[2]
    except (msgspec.DecodeError, KeyError, TypeError):
        return ""


def _route(path: str) -> str:
    return _ID.sub("{id}", path.partition("?")[0])


@asynccontextmanager
async def wire_to(url: str, tenant: str, report: Callable[[str], None]) -> AsyncIterator[Wire]:
    """Lend a wire to a server while the block runs."""
    connector = aiohttp.TCPConnector(limit=AT_ONCE)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Wire(url, tenant, session, report)
