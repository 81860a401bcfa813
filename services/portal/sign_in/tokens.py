"""Tokens of the portal: short ones, one a session, by which it asks the services in a person's name."""

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from joserfc.util import urlsafe_b64encode

from services.kernel.ids import new_id
from services.kernel.privacy.token_signing import EMBEDDED_ISSUER, TokenSigner
from services.kernel.settings import Settings
from services.portal.person import Person

SECONDS: Final = 300
REUSED_UNTIL_SECONDS: Final = 60
"""A token is used again until so many seconds before its end: a verifier remembers it by its text."""

PORTAL: Final = UUID("53616d73-7069-8000-8000-706f7274616c")
"""The id by which the directory knows the portal itself: a UUIDv8 that spells its name."""

_MOST: Final = 10_000


def issuer_of(settings: Settings) -> str:
    """Return the issuer that the portal's tokens name."""
    return EMBEDDED_ISSUER if settings.mode == "embedded" else settings.public_url.rstrip("/")


class Tokens:
    """Signs tokens, and keeps the one of each session while it is used."""

    def __init__(self, signer: TokenSigner, settings: Settings) -> None:
        """Sign by a key, for the audience of the settings."""
        self._signer = signer
        self._issuer = issuer_of(settings)
        self._audience = settings.audience
        self._kept: dict[str, tuple[float, str]] = {}
        self._signing: dict[str, asyncio.Lock] = {}

    async def of_person(self, person: Person) -> str:
        """Return a token of a person's session that is valid for another minute at least."""
        claims = {
            "sub": str(person.sub),
            "role": person.role,
            "tenant": person.tenant,
            "department_id": _text(person.department_id),
            "organisation_id": _text(person.organisation_id),
            "acr": person.acr,
            "mid": _text(person.membership_id),
        }
        return await self._kept_or_signed(str(person.session_id), claims)

    async def of_portal(self, tenant: str) -> str:
        """Return a token of the portal itself, which only asks the directory who somebody is."""
        claims = {"sub": str(PORTAL), "role": "portal", "tenant": tenant, "acr": "high"}
        return await self._kept_or_signed(tenant, claims)

    async def of_machine(self, claims: Mapping[str, str | None]) -> tuple[str, int]:
        """Return a token of a machine account, and for how many seconds it is valid; none is kept."""
        return await self._sign(claims, int(time.time())), SECONDS

    def drop(self, session_id: UUID) -> None:
        """Forget the token of a session that has ended."""
        self._kept.pop(str(session_id), None)

    async def key_set(self) -> dict[str, Any]:
        """Return the public keys (JWKS, RFC 7517) by which services verify the tokens."""
        return {"keys": await self._signer.public_keys()}

    async def _kept_or_signed(self, of: str, claims: Mapping[str, str | None]) -> str:
        lock = self._signing.setdefault(of, asyncio.Lock())
        try:
            async with lock:
                now = time.time()
                ends, token = self._kept.get(of, (0.0, ""))
                if ends - now <= REUSED_UNTIL_SECONDS:
                    token = await self._sign(claims, int(now))
                    if len(self._kept) >= _MOST:
                        self._kept.clear()
                    self._kept[of] = int(now) + SECONDS, token
                return token
        finally:
            self._signing.pop(of, None)

    async def _sign(self, claims: Mapping[str, str | None], now: int) -> str:
        """Return a token (RFC 9068 calls its type `at+jwt`) with these claims."""
        said = {
            "iss": self._issuer,
            "aud": self._audience,
            "iat": now,
            "exp": now + SECONDS,
            "jti": str(new_id()),
            **{name: value for name, value in claims.items() if value is not None},
        }
        head = {"alg": "Ed25519", "kid": await self._signer.current(), "typ": "at+jwt"}
        content = f"{_part(head)}.{_part(said)}"
        signature = await self._signer.sign(head["kid"], content.encode())
        return f"{content}.{urlsafe_b64encode(signature).decode()}"


def _part(value: Mapping[str, Any]) -> str:
    return urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode()


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)
