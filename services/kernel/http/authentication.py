"""Who acts: read from a signed token, or refused."""

import json
import time
from collections.abc import Iterable
from typing import Annotated, Any, Final, Protocol
from uuid import UUID

from joserfc import jws
from joserfc.errors import JoseError
from msgspec import Struct
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contracts.event import Tenant
from services.kernel.decider.decision import Actor
from services.kernel.errors import ProblemError
from services.kernel.http.issuer_keys import IssuerKeys, Key
from services.kernel.issuer_settings import DEFAULT_ROLES, ROLES, IssuerSettings, Level

ALGORITHMS: Final = ("Ed25519", "ES256", "RS256", "PS256")
_TYPES: Final = frozenset({"jwt", "at+jwt"})
_LEEWAY_SECONDS: Final = 30
_LATEST: Final = 253_402_300_799
"""The last second that a date can be written for."""

_MOST_VERIFIED: Final = 10_000
_UNREADABLE: Final = (JoseError, ValidationError, ValueError, TypeError, AttributeError, RecursionError)
"""What a token can make its reader raise: it is untrusted input."""


class TokenMissing(ProblemError):
    """Sign in first: send a token in the header Authorization, as Bearer."""


class TokenInvalid(ProblemError):
    """This token cannot be used: sign in again."""


class SignInUnverifiable(ProblemError):
    """Your sign-in cannot be checked just now: try again in a moment."""


_Moment = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=_LATEST)]


class Claims(BaseModel):
    """What a token must say of its bearer, as RFC 7519 spells it; further claims are passed over.

    `mid` is the membership by which the bearer has the role; the token ends with it.
    """

    model_config = ConfigDict(extra="ignore")

    sub: UUID
    aud: str | tuple[str, ...]
    exp: _Moment
    iat: _Moment | None = None
    nbf: _Moment = 0
    jti: str | None = Field(default=None, min_length=1, max_length=255)
    role: str
    tenant: Tenant
    organisation_id: UUID | None = None
    department_id: UUID | None = None
    acr: str = ""
    mid: UUID | None = None


class TrustedIssuer(Struct, frozen=True):
    """Sign-in service whose tokens are taken; without `municipalities` it may speak for all of them.

    `roles` are those that it may speak with.
    """

    name: str
    keys: IssuerKeys
    municipalities: frozenset[str] | None
    assurance: dict[str, Level]
    roles: frozenset[str] = DEFAULT_ROLES


def trusted(issuer: IssuerSettings, keys: IssuerKeys) -> TrustedIssuer:
    """Return an issuer of the settings with its keys."""
    return TrustedIssuer(
        issuer.issuer, keys, issuer.municipalities, dict(issuer.assurance), issuer.roles or DEFAULT_ROLES
    )


class RevokedAccess(Protocol):
    """What a verifier asks about revoked persons, memberships and tokens."""

    @property
    def known(self) -> bool:
        """Whether they were read once."""
        ...

    def covers(self, actor: Actor, token_id: str | None, membership_id: UUID | None) -> bool:
        """Return whether an actor, their membership or their token is revoked."""
        ...


class _Verified(Struct, frozen=True):
    """A token that was verified, and by which generation of its issuer's keys."""

    actor: Actor
    token_id: str | None
    membership_id: UUID | None
    ends: float
    issuer: TrustedIssuer
    generation: int


class TokenVerifier:
    """Verifies tokens against the public keys of the issuer that each one names."""

    def __init__(
        self, issuers: Iterable[TrustedIssuer], audience: str, *, longest_seconds: float = 3600.0
    ) -> None:
        """Trust these issuers for this audience, and tokens that live no longer than so many seconds."""
        self._issuers = {issuer.name: issuer for issuer in issuers}
        self._audience = audience
        self._longest_seconds = longest_seconds
        self._verified: dict[str, _Verified] = {}
        self.revocations: RevokedAccess | None = None
        """Who is let in no more; None where nothing can be revoked."""

    async def authenticate(self, authorization: str | None) -> Actor:
        """Return the actor of a bearer token.

        Raises `TokenMissing`, `TokenInvalid`, and `SignInUnverifiable` where its issuer's are too old.
        """
        if not authorization or not authorization.lower().startswith("bearer "):
            raise TokenMissing
        token = authorization[7:].strip()
        now = time.time()
        verified = self._verified.get(token)
        if verified is None or not _is_current(verified):
            verified = await self._verify(token, now)
            if len(self._verified) > _MOST_VERIFIED:
                self._verified.clear()
            self._verified[token] = verified
        if verified.ends + _LEEWAY_SECONDS < now:
            raise TokenInvalid("it has expired")
        self._require_access(verified)
        return verified.actor

    def _require_access(self, verified: _Verified) -> None:
        if self.revocations is None:
            return
        if not self.revocations.known:
            raise SignInUnverifiable("revocations")
        if self.revocations.covers(verified.actor, verified.token_id, verified.membership_id):
            raise TokenInvalid("it was revoked")

    async def _verify(self, token: str, now: float) -> _Verified:
        try:
            signed, said = _read(token)
            issuer = self._issuers.get(said["iss"])
        except (*_UNREADABLE, LookupError):
            raise TokenInvalid("its signature or its claims are not as agreed") from None
        if issuer is None:
            raise TokenInvalid("its issuer is not trusted here")
        key = await _key_of(signed, issuer)
        generation = issuer.keys.generation
        try:
            if not jws.validate_compact(signed, key, algorithms=ALGORITHMS):
                raise TokenInvalid("its signature or its claims are not as agreed")
            claims = Claims.model_validate(said)
        except _UNREADABLE:
            raise TokenInvalid("its signature or its claims are not as agreed") from None
        self._require_time(claims, now)
        return _Verified(self._actor(claims, issuer), claims.jti, claims.mid, claims.exp, issuer, generation)

    def _require_time(self, claims: Claims, now: float) -> None:
        """Raise `TokenInvalid` for a token that is not valid yet, or for longer than tokens may be."""
        if claims.nbf - _LEEWAY_SECONDS > now:
            raise TokenInvalid("its time has not come yet")
        if claims.iat is not None and claims.iat - _LEEWAY_SECONDS > now:
            raise TokenInvalid("it was issued in the future")
        begins = now if claims.iat is None else claims.iat
        if claims.exp - begins > self._longest_seconds:
            raise TokenInvalid(f"it is valid for longer than {self._longest_seconds:g} seconds")

    def _actor(self, claims: Claims, issuer: TrustedIssuer) -> Actor:
        if self._audience not in ((claims.aud,) if isinstance(claims.aud, str) else claims.aud):
            raise TokenInvalid(f"its audience is not {self._audience}")
        if issuer.municipalities is not None and claims.tenant not in issuer.municipalities:
            raise TokenInvalid("its issuer does not speak for this municipality")
        if claims.role not in ROLES:
            raise TokenInvalid("its role is unknown")
        if claims.role not in issuer.roles:
            raise TokenInvalid("its issuer does not speak with this role")
        return Actor(
            claims.sub,
            claims.role,
            claims.tenant,
            claims.organisation_id,
            claims.department_id,
            issuer.assurance.get(claims.acr, "none"),
        )


def _is_current(verified: _Verified) -> bool:
    keys = verified.issuer.keys
    return keys.usable and keys.generation == verified.generation


def _read(token: str) -> tuple[jws.CompactSignature, dict[str, Any]]:
    """Return a token's parts and what it says, none of it verified; raise one of `_UNREADABLE`."""
    signed = jws.extract_compact(token.encode())
    header, said = signed.protected, json.loads(signed.payload)
    if not isinstance(header, dict) or not isinstance(said, dict) or {"crit", "b64"} & header.keys():
        raise ValueError
    if header.get("typ", "JWT").lower().removeprefix("application/") not in _TYPES:
        raise ValueError  # a token for something else, such as a logout (RFC 8725, 3.11)
    if header["alg"] == "EdDSA":  # the older name (RFC 9864); only keys of Ed25519 are taken
        header["alg"] = "Ed25519"
    if header["alg"] not in ALGORITHMS or not isinstance(header.get("kid", ""), str):
        raise ValueError
    return signed, said


async def _key_of(signed: jws.CompactSignature, issuer: TrustedIssuer) -> Key:
    """Return the issuer's key that a token names, after another look at the issuer's where it is unknown."""
    kid, algorithm = signed.protected.get("kid"), signed.protected["alg"]
    key = issuer.keys.key_of(kid, algorithm)
    if key is None and kid is not None:
        await issuer.keys.refetch(issuer.name)
        key = issuer.keys.key_of(kid, algorithm)
    if not issuer.keys.usable:
        raise SignInUnverifiable(issuer.name)
    if key is None:
        raise TokenInvalid("its key is none of its issuer's")
    return key
