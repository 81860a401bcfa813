"""Calls that exist in embedded mode only: tokens for anyone, a clock that moves, a search for leaks."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, get_args
from uuid import UUID

from fastapi import APIRouter, Header, Request
from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey
from pydantic import BaseModel, ConfigDict, Field

from contracts.event import Tenant
from services.kernel.atomic_files import write_whole
from services.kernel.clock import Clock, VirtualClock
from services.kernel.embedded.consistency import Checks, check_all
from services.kernel.embedded.leak_scan import Leak, find_leaks
from services.kernel.embedded.quiescence import advance_clock, wait_until_idle
from services.kernel.errors import NotAllowed, ProblemError, Refused
from services.kernel.http.authentication import TrustedIssuer
from services.kernel.http.denials import record_counted
from services.kernel.http.fields import Moment
from services.kernel.http.issuer_keys import IssuerKeys
from services.kernel.ids import new_id
from services.kernel.issuer_settings import ROLES, Level
from services.kernel.runtime.runtime import Runtime
from services.kernel.settings import Settings

TOKEN_DAYS: Final = 7
"""How long a token lives: longer than in production, since a year may be played with one."""

DEVELOPMENT_ISSUER: Final = "samspil:development"


class EmbeddedOnly(ProblemError):
    """This exists in embedded mode only, and never where real people are served."""


class ClockStandsStill(Refused):
    """This server runs by the machine's clock: start it with --clock virtual to move time."""


class Bearer(BaseModel):
    """For whom a token is wanted."""

    model_config = ConfigDict(extra="forbid")

    sub: UUID
    role: str = Field(pattern="^(" + "|".join(sorted(ROLES)) + ")$")
    tenant: Tenant
    organisation_id: UUID | None = None
    department_id: UUID | None = None
    acr: str = "high"


class Token(BaseModel):
    """A signed token."""

    token: str


class Time(BaseModel):
    """What time it is here, and whether it can be moved."""

    now: datetime
    virtual: bool
    settled: bool = True


class Move(BaseModel):
    """To when time is to be moved."""

    model_config = ConfigDict(extra="forbid")

    to: Moment


class Names(BaseModel):
    """Words that must be found nowhere outside sealed columns."""

    model_config = ConfigDict(extra="forbid")

    names: list[Annotated[str, Field(min_length=4, max_length=100)]] = Field(min_length=1, max_length=2000)


class Issuer:
    """Issuer of tokens for any caller, on the loopback address of a developer's machine."""

    def __init__(self, file: Path, audience: str) -> None:
        """Use the key in a file, or make one."""
        if not file.exists():
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(file, json.dumps(OKPKey.generate_key("Ed25519").as_dict(private=True)))
        self._key = OKPKey.import_key(json.loads(file.read_text()))
        self._audience = audience

    @property
    def public(self) -> KeySet:
        """The keys by which its tokens are verified."""
        return KeySet([self._key])

    async def trusted(self) -> TrustedIssuer:
        """Return this issuer, trusted to speak for every municipality."""

        async def read() -> bytes:
            return json.dumps(self.public.as_dict(private=False)).encode()

        keys = IssuerKeys(read)
        await keys.refresh()
        levels = {level: level for level in get_args(Level)}
        return TrustedIssuer(DEVELOPMENT_ISSUER, keys, None, levels, ROLES)

    def token(self, bearer: Bearer) -> str:
        """Return a token for a bearer."""
        claims = bearer.model_dump(mode="json", exclude_none=True)
        now = int(datetime.now(UTC).timestamp())
        claims |= {
            "iss": DEVELOPMENT_ISSUER,
            "aud": self._audience,
            "iat": now,
            "exp": now + TOKEN_DAYS * 86_400,
            "jti": str(new_id()),
        }
        return jwt.encode({"alg": "Ed25519"}, claims, self._key, algorithms=["Ed25519"])


def development_routes(
    settings: Settings,
    runtimes: Mapping[str, Runtime],
    clock: Clock,
    issuer: Issuer,
    folder: Path,
) -> APIRouter:
    """Return the routes; raise `EmbeddedOnly` in any other mode."""
    if settings.mode != "embedded":
        raise EmbeddedOnly(f"SAMSPIL_MODE is {settings.mode}")
    router = APIRouter(prefix="/development", include_in_schema=False)

    async def operator(request: Request, authorization: str | None) -> None:
        actor = await request.app.state.token_verifier.authenticate(authorization)
        if actor.role != "operator":
            raise NotAllowed("this is for: operator")

    @router.post("/tokens")
    async def token(bearer: Bearer) -> Token:
        return Token(token=issuer.token(bearer))

    @router.get("/clock")
    async def current_time() -> Time:
        return Time(now=clock.now(), virtual=isinstance(clock, VirtualClock))

    @router.post("/clock")
    async def move_time(
        move: Move, request: Request, authorization: Annotated[str | None, Header()] = None
    ) -> Time:
        await operator(request, authorization)
        if not isinstance(clock, VirtualClock):
            raise ClockStandsStill
        settled = await advance_clock(clock, runtimes, move.to)
        return Time(now=clock.now(), virtual=True, settled=settled)

    @router.get("/checks")
    async def checks(request: Request, authorization: Annotated[str | None, Header()] = None) -> Checks:
        await operator(request, authorization)
        await record_counted(request.app.state.denials)
        await wait_until_idle(runtimes)
        return await check_all(runtimes)

    @router.post("/leaks")
    async def leaks(
        names: Names, request: Request, authorization: Annotated[str | None, Header()] = None
    ) -> list[Leak]:
        await operator(request, authorization)
        return await find_leaks(names.names, runtimes, settings, folder)

    return router
