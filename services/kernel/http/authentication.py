"""Who acts: read from a signed token, or refused."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError

from contracts.event import Tenant
from services.kernel.decider.decision import Actor
from services.kernel.errors import ProblemError

ALGORITHMS: Final = ["EdDSA", "Ed25519", "ES256"]
ROLES: Final = frozenset({
    "caseworker", "coordinator", "guardian", "young_person", "leader", "auditor", "operator", "administrator",
    "bridge_builder",
})  # fmt: skip
_LEEWAY_SECONDS: Final = 30


class TokenMissing(ProblemError):
    """Sign in first: send a token in the header Authorization, as Bearer."""


class TokenInvalid(ProblemError):
    """This token cannot be used: sign in again."""


class Claims(BaseModel):
    """What a token must say of its bearer, as RFC 7519 spells it; further claims are passed over."""

    model_config = ConfigDict(extra="ignore")

    sub: UUID
    aud: str | tuple[str, ...]
    exp: FiniteFloat
    nbf: FiniteFloat = 0
    role: str
    tenant: Tenant
    organisation_id: UUID | None = None
    department_id: UUID | None = None
    acr: str = "none"


class TokenVerifier:
    """Verifies tokens against the issuer's public keys."""

    def __init__(self, keys: KeySet, audience: str) -> None:
        """Trust these keys for this audience."""
        self._keys = keys
        self._audience = audience
        self._verified: dict[str, tuple[float, Actor]] = {}

    def authenticate(self, authorization: str | None) -> Actor:
        """Return the actor of a bearer token; raise `TokenMissing` or `TokenInvalid`."""
        if not authorization or not authorization.lower().startswith("bearer "):
            raise TokenMissing
        token = authorization[7:].strip()
        now = datetime.now(UTC).timestamp()
        cached = self._verified.get(token)
        if cached is None:
            cached = self._verify(token, now)
            if len(self._verified) > 10_000:  # noqa: PLR2004  a bound, no more
                self._verified.clear()
            self._verified[token] = cached
        if cached[0] + _LEEWAY_SECONDS < now:
            raise TokenInvalid("it has expired")
        return cached[1]

    def _verify(self, token: str, now: float) -> tuple[float, Actor]:
        try:
            claims = Claims.model_validate(jwt.decode(token, self._keys, algorithms=ALGORITHMS).claims)
        except (
            JoseError,
            ValidationError,
            ValueError,
            TypeError,
            RecursionError,
        ):  # the token is untrusted input
            raise TokenInvalid("its signature or its claims are not as agreed") from None
        if self._audience not in ((claims.aud,) if isinstance(claims.aud, str) else claims.aud):
            raise TokenInvalid(f"its audience is not {self._audience}")
        if claims.nbf - _LEEWAY_SECONDS > now:
            raise TokenInvalid("its time has not come yet")
        if claims.role not in ROLES:
            raise TokenInvalid("its role is unknown")
        actor = Actor(
            claims.sub, claims.role, claims.tenant, claims.organisation_id, claims.department_id, claims.acr
        )
        return claims.exp, actor


def read_keys(file: Path) -> KeySet:
    """Return the issuer's public keys from a JWKS file (RFC 7517)."""
    return KeySet.import_key_set(json.loads(file.read_text(encoding="utf-8")))
