"""A tally service behind an HTTP port, with tokens of its own issuer: the site of the HTTP tests."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import aiohttp
from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute
from joserfc import jwt
from joserfc.jwk import OKPKey
from pydantic import BaseModel, ConfigDict, Field

from services.kernel.clock import wall_time
from services.kernel.decider.operation import Operation
from services.kernel.decider.service import QueryConnection, Service
from services.kernel.http.application import mount
from services.kernel.http.authentication import TokenVerifier
from services.kernel.http.requests import CommandResult, RequestContext, request_context
from services.kernel.http.revocations import heeding_revocations
from services.kernel.http.server import app_of, listening_socket, serve
from services.kernel.ids import new_id
from services.kernel.issuer_settings import ROLES
from services.kernel.runtime.runtime import Runtime
from tests.issuers import AUDIENCE, SIGN_IN, trusting
from tests.tally import ACTOR, TALLY, TENANT, Count, running
from tests.waiting import until

ISSUER, STRANGER = OKPKey.generate_key("Ed25519"), OKPKey.generate_key("Ed25519")
TALLY_ID = UUID("0199a000-0000-7000-8000-000000000010")
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "strict-transport-security": "max-age=31536000",
}
_TRACE = re.compile(r"urn:samspil:trace:[0-9a-f]{32}")
router = APIRouter(prefix="/consent", tags=["consent"])
TallyRequest = Annotated[RequestContext, Depends(request_context("consent"))]


class CountBody(BaseModel):
    """Body of a count."""

    model_config = ConfigDict(extra="forbid")

    referral_id: UUID
    word: str = Field(default="", max_length=100)


class Shown(BaseModel):
    """A tally, for an actor who may see it."""

    version: int
    seen: tuple[UUID, ...]
    word: str | None


@router.post("/tallies", status_code=201)
async def begin(body: CountBody, request: TallyRequest) -> CommandResult:
    """Begin a tally of a new id."""
    return await request.execute(new_id(), Count(body.referral_id, body.word))


@router.post("/tallies/{tally_id}/counts")
async def count(tally_id: UUID, body: CountBody, request: TallyRequest) -> CommandResult:
    """Count once more."""
    made = new_id()
    return await request.execute(tally_id, Count(body.referral_id, body.word), created=made)


@router.get("/tallies/{tally_id}")
async def show(tally_id: UUID, request: TallyRequest) -> Shown:
    """Show a tally with its word."""
    seen = await request.read_private(tally_id, what=("word", "seen"), purpose="casework")
    return Shown(version=seen.version, seen=seen.state.seen, word=seen.private.get("word"))


@router.get("/tallies/{tally_id}/status")
async def status(tally_id: UUID, request: TallyRequest) -> Shown:
    """Show a tally without its word."""
    seen = await request.read(tally_id)
    return Shown(version=seen.version, seen=seen.state.seen, word=seen.private.get("word"))


@router.get("/tallies")
async def list_tallies(request: TallyRequest) -> int:
    """Count the tallies at the address at which they are begun."""
    return await request.query(_number)


@router.get("/numbers")
async def numbers(request: TallyRequest) -> int:
    """Count the tallies of the actor's municipality."""
    request.require_role("caseworker")
    return await request.query(_number)


@router.get("/bug")
async def bug(word: str) -> None:
    """Break."""
    raise RuntimeError(word)


async def _number(tx: QueryConnection, *, tenant: str) -> int:
    found: int = await tx.fetchval(
        "select count(*) from streams where tenant = $1 and state is not null", tenant
    )
    return found


OPERATIONS = {
    route.name: Operation(f"tally{number}", tuple(sorted(ROLES)))
    for number, route in enumerate(router.routes)
    if isinstance(route, APIRoute)
}
SERVICE = replace(TALLY, routes=router, operations=OPERATIONS)


def a_token(key: OKPKey = ISSUER, **claims: object) -> str:
    """Return a token, of a caseworker unless it says otherwise."""
    now = int(datetime.now(UTC).timestamp())
    whole = {
        "iss": SIGN_IN,
        "sub": str(ACTOR),
        "aud": AUDIENCE,
        "exp": now + 300,
        "role": "caseworker",
        "tenant": TENANT,
        "acr": "high",
        **claims,
    }
    claims_given = {name: value for name, value in whole.items() if value is not None}
    return jwt.encode({"alg": "Ed25519"}, claims_given, key, algorithms=["Ed25519"])


@dataclass
class Answer:
    """One HTTP response."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> Any:
        """The response's body, from JSON."""
        return json.loads(self.text)

    @property
    def said(self) -> str:
        """The response's text but for the id of its trace, which is another one each time."""
        return _TRACE.sub("", self.text)

    def without_trace(self) -> str:
        """The response's text but for the id of the request's trace, which is another each time."""
        return re.sub(r"(?<=urn:samspil:trace:)[0-9a-f]{32}", "", self.text)

    @property
    def slug(self) -> str:
        """Return the problem's code; every problem has the shape of RFC 9457."""
        assert self.headers["content-type"] == "application/problem+json"
        assert self.body["status"] == self.status
        assert self.body["title"].endswith((".", "`errors`."))
        return str(self.body["type"]).removeprefix("urn:samspil:problem:")


@dataclass
class Site:
    """A service behind its port, and a client."""

    runtime: Runtime
    session: aiohttp.ClientSession
    port: int
    app: FastAPI

    async def request(self, method: str, path: str, *, token: str | None = "", **more: Any) -> Answer:
        """Send a request with a token; every response must carry the security headers."""
        headers = dict(more.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token or a_token()}"
        url = f"http://127.0.0.1:{self.port}{path}"
        async with self.session.request(method, url, headers=headers, **more) as answer:
            text = await answer.text()
        found = {name.lower(): value for name, value in answer.headers.items()}
        assert {name: found.get(name) for name in HEADERS} == HEADERS
        return Answer(answer.status, found, text)

    async def begin(self, key: str | None = None, *, word: str = "", **more: Any) -> Answer:
        """Begin a tally."""
        headers = {"Idempotency-Key": key or str(new_id())} if key != "" else {}
        body = {"referral_id": str(ACTOR), "word": word}
        return await self.request("POST", "/consent/tallies", json=body, headers=headers, **more)

    async def count(
        self, tally: str, version: object, key: str | None = None, *, referral: object = ACTOR, **more: Any
    ) -> Answer:
        """Count in a tally, with the version in If-Match."""
        headers = {"Idempotency-Key": key or str(new_id())}
        if version is not None:
            headers["If-Match"] = f'"{version}"' if isinstance(version, int) else str(version)
        path = f"/consent/tallies/{tally}/counts"
        return await self.request("POST", path, json={"referral_id": str(referral)}, headers=headers, **more)

    async def events(self) -> list[tuple[UUID, int, str, Any]]:
        """Return the events of the log."""
        rows = await self.runtime.pool.fetch("select stream_id, seq, type, data from event_log order by id")
        return [(row["stream_id"], row["seq"], row["type"], json.loads(row["data"])) for row in rows]

    async def types(self) -> list[str]:
        """Return the types of the events of the log."""
        return [event_type for _, _, event_type, _ in await self.events()]


@asynccontextmanager
async def open_site(dsn: str, service: Service = SERVICE, **more: Any) -> AsyncIterator[Site]:
    """Serve a service on a port of the loopback address while the block runs."""
    stopping, listener = asyncio.Event(), listening_socket("127.0.0.1", 0)
    async with (
        running(dsn, "", "none", service, **more) as runtime,
        aiohttp.ClientSession() as session,
        AsyncExitStack() as stack,
    ):
        app = app_of([service])
        verifier = TokenVerifier([trusting(ISSUER)], AUDIENCE)
        mount(app, {service.name: runtime}, verifier)
        heeding = heeding_revocations(
            verifier, {service.name: runtime}, runtime.settings.limits.revocations_seconds
        )
        await stack.enter_async_context(heeding)
        serving = asyncio.create_task(serve(app, listener, runtime.settings, stopping=stopping))
        site = Site(runtime, session, listener.getsockname()[1], app)

        async def open_() -> bool:
            try:
                return (await site.request("GET", "/live", token=None)).status == 200
            except aiohttp.ClientConnectorError:
                return False

        try:
            await until(open_)
            yield site
        finally:
            stopping.set()
            await serving


async def advance_watermark(runtime: Runtime, age: float) -> None:
    """Let every partition's last watermark be so many seconds old."""
    at_ = datetime.fromtimestamp(wall_time().timestamp() - age, UTC)
    async with runtime.pool.acquire() as tx:
        await runtime.processor.dependencies.watermark.advance(
            tx, dict.fromkeys(range(runtime.settings.partitions), at_)
        )
