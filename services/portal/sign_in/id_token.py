"""Checks of an ID token (OpenID Connect Core 1.0, 3.1.3.7): nothing that it says is used before they hold."""

import base64
import hashlib
import hmac
import json
import time
from typing import Annotated, Any, Final

from joserfc import jws
from joserfc.errors import JoseError
from msgspec import Struct
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.kernel.logging import log
from services.portal.sign_in.provider import Provider
from services.portal.sign_in.refusals import SignInFailed

ALGORITHMS: Final = ("RS256", "PS256", "ES256", "Ed25519")
LEEWAY_SECONDS: Final = 30
_LONGEST_TOKEN: Final = 32_768
_OLDEST_SECONDS: Final = 600
_LATEST: Final = 253_402_300_799
_DIGESTS: Final = {"RS256": "sha256", "PS256": "sha256", "ES256": "sha256", "Ed25519": "sha512"}
_UNREADABLE: Final = (
    JoseError,
    ValidationError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    RecursionError,
)
"""What a token can make its reader raise: it is untrusted input."""

_Moment = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=_LATEST)]


class Expected(Struct, frozen=True):
    """What the token of one sign-in must match: its nonce, the access token beside it, and since when."""

    nonce: str
    access_token: str = ""
    proven_since: float = 0.0
    """The earliest time at which the person may have proven who they are; 0 for any."""


class _Claims(BaseModel):
    model_config = ConfigDict(extra="ignore")

    iss: str
    sub: str = Field(min_length=1, max_length=255)
    aud: str | list[str]
    exp: _Moment
    iat: _Moment
    nbf: _Moment = 0
    nonce: str
    azp: str | None = None
    auth_time: _Moment | None = None
    at_hash: str | None = None


async def verified_claims(provider: Provider, token: str, expected: Expected) -> dict[str, Any]:
    """Return all claims of an ID token; raise `SignInFailed` with a code of what does not hold."""
    try:
        algorithm, signed, said = _read(token)
    except _UNREADABLE:
        raise _refused(provider, "form") from None
    key = await provider.key_of(signed.protected.get("kid"), algorithm)
    if key is None:
        raise _refused(provider, "key")
    try:
        valid = jws.validate_compact(signed, key, algorithms=[algorithm])
        claims = _Claims.model_validate(said)
    except _UNREADABLE:
        raise _refused(provider, "form") from None
    if not valid:
        raise _refused(provider, "signature")
    if fault := _fault(provider, claims, expected, algorithm):
        raise _refused(provider, fault)
    return said


def _read(token: str) -> tuple[str, jws.CompactSignature, dict[str, Any]]:
    """Return algorithm, parts and what is said, none of it verified; raise one of `_UNREADABLE`."""
    if len(token) > _LONGEST_TOKEN:
        raise ValueError
    signed = jws.extract_compact(token.encode())
    head, said = signed.protected, json.loads(signed.payload)
    if (
        not isinstance(said, dict)
        or {"crit", "b64"} & head.keys()
        or not isinstance(head.get("kid", ""), str)
    ):
        raise ValueError
    if str(head.get("typ", "JWT")).lower().removeprefix("application/") != "jwt":
        raise ValueError  # a token for something else, such as a logout (RFC 8725, 3.11)
    if head["alg"] == "EdDSA":  # the older name (RFC 9864); only keys of Ed25519 are taken
        head["alg"] = "Ed25519"
    if head["alg"] not in ALGORITHMS:
        raise ValueError
    return head["alg"], signed, said


def _fault(provider: Provider, claims: _Claims, expected: Expected, algorithm: str) -> str:
    """Return the name of the first claim that does not hold, or nothing."""
    now, client_id = time.time(), provider.settings.client_id
    audience = [claims.aud] if isinstance(claims.aud, str) else claims.aud
    proven = (claims.auth_time or 0.0) + LEEWAY_SECONDS
    checks = {
        "iss": claims.iss == provider.settings.issuer,
        "aud": client_id in audience,
        "azp": claims.azp == client_id if claims.azp is not None else len(audience) == 1,
        "exp": claims.exp + LEEWAY_SECONDS > now,
        "iat": now - _OLDEST_SECONDS - LEEWAY_SECONDS <= claims.iat <= now + LEEWAY_SECONDS,
        "nbf": claims.nbf - LEEWAY_SECONDS <= now,
        "nonce": hmac.compare_digest(claims.nonce.encode(), expected.nonce.encode()),
        "auth_time": not expected.proven_since or proven >= expected.proven_since,
        "at_hash": claims.at_hash is None or _is_hash_of(claims.at_hash, expected.access_token, algorithm),
    }
    return next((name for name, holds in checks.items() if not holds), "")


def _is_hash_of(at_hash: str, access_token: str, algorithm: str) -> bool:
    """Return whether a claim is the left half of the digest of the access token beside it."""
    digest = hashlib.new(_DIGESTS[algorithm], access_token.encode()).digest()
    left = base64.urlsafe_b64encode(digest[: len(digest) // 2]).decode().rstrip("=")
    return hmac.compare_digest(at_hash.encode(), left.encode())


def _refused(provider: Provider, what: str) -> SignInFailed:
    log.warning("id_token_refused", issuer=provider.settings.issuer, claim=what)
    return SignInFailed(what)
