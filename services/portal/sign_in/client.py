"""The portal as an OpenID Connect client: the code flow with PKCE, and what comes back from it."""

import base64
import hashlib
import secrets
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from msgspec import Struct

from services.kernel.ids import new_id
from services.kernel.issuer_settings import Level
from services.kernel.logging import log
from services.portal.sign_in.claims import Identity, identity_of
from services.portal.sign_in.id_token import Expected, verified_claims
from services.portal.sign_in.provider import Metadata, Provider, SigningKey
from services.portal.sign_in.refusals import SignInCancelled, SignInFailed

_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_SECONDS: Final = 60
_SECRET_BYTES: Final = 32
_CREATED: Final = (200, 201)
_CANCELLED: Final = frozenset({"access_denied", "login_required", "interaction_required"})


class Attempt(Struct, frozen=True):
    """A sign-in under way: what is kept until the person comes back."""

    state: str
    nonce: str
    verifier: str
    begun_at: float


class Wanted(Struct, frozen=True):
    """What a sign-in is to be: at least a level, newly proven or not, in a language of pages."""

    level: Level = "substantial"
    again: bool = False
    language: str = ""


def new_attempt(tenant: str) -> Attempt:
    """Return the secrets of a sign-in; the state says of which municipality it is."""
    made = [secrets.token_urlsafe(_SECRET_BYTES) for _ in range(3)]
    return Attempt(f"{tenant}.{made[0]}", made[1], made[2], time.time())


async def begin(provider: Provider, attempt: Attempt, redirect_uri: str, wanted: Wanted) -> str:
    """Return where the browser is sent; the request itself is pushed where the provider offers that.

    Raises `SignInSilent`, and `SignInFailed` where the provider does not take the request.
    """
    metadata = await provider.metadata()
    asked = _request_of(provider, attempt, redirect_uri, wanted)
    pushed_to = metadata.pushed_authorization_request_endpoint
    if pushed_to:
        status, answer = await provider.post(pushed_to, *authenticated(provider, metadata, asked))
        if status not in _CREATED or not isinstance(answer, dict) or not answer.get("request_uri"):
            raise _failed(provider, "pushed request", answer)
        asked = {"client_id": provider.settings.client_id, "request_uri": str(answer["request_uri"])}
    joint = "&" if "?" in metadata.authorization_endpoint else "?"
    return metadata.authorization_endpoint + joint + urlencode(asked)


async def finish(
    provider: Provider, attempt: Attempt, redirect_uri: str, wanted: Wanted, answer: Mapping[str, str]
) -> Identity:
    """Return who has signed in, from what the browser brought back.

    The caller has found `attempt` by the answer's state. Raises `SignInCancelled`, `SignInSilent`,
    `AssuranceTooLow` and `SignInFailed`; what did not hold stands in the log, and nothing about the person.
    """
    metadata = await provider.metadata()
    _require_issuer(provider, metadata, answer)
    if "error" in answer:
        if answer["error"] in _CANCELLED:
            raise SignInCancelled
        raise _failed(provider, "authorization", {"error": answer["error"]})
    if not answer.get("code"):
        raise _failed(provider, "authorization", {"error": "no code"})
    tokens = await _exchange(provider, metadata, attempt, redirect_uri, answer["code"])
    proven_since = attempt.begun_at if wanted.again else 0.0
    expected = Expected(attempt.nonce, str(tokens.get("access_token", "")), proven_since)
    claims = await verified_claims(provider, str(tokens.get("id_token", "")), expected)
    return identity_of(provider.settings, claims, wanted.level)


def _require_issuer(provider: Provider, metadata: Metadata, answer: Mapping[str, str]) -> None:
    """Refuse the answer of another provider (RFC 9207): it may be an attacker's, who wants the code."""
    named = answer.get("iss")
    if named is None and not metadata.authorization_response_iss_parameter_supported:
        return
    if named != provider.settings.issuer:
        raise _failed(provider, "issuer of the answer", None)


def _request_of(provider: Provider, attempt: Attempt, redirect_uri: str, wanted: Wanted) -> dict[str, str]:
    challenge = hashlib.sha256(attempt.verifier.encode()).digest()
    asked = {
        "response_type": "code",
        "client_id": provider.settings.client_id,
        "redirect_uri": redirect_uri,
        "scope": provider.settings.scope,
        "state": attempt.state,
        "nonce": attempt.nonce,
        "code_challenge": base64.urlsafe_b64encode(challenge).decode().rstrip("="),
        "code_challenge_method": "S256",
        "acr_values": provider.settings.asking_for(wanted.level),
        "ui_locales": wanted.language,
    }
    if wanted.again:
        asked |= {"max_age": "0", "prompt": "login"}
    return {name: value for name, value in asked.items() if value}


async def _exchange(
    provider: Provider, metadata: Metadata, attempt: Attempt, redirect_uri: str, code: str
) -> dict[str, Any]:
    """Return what the provider answers for a code, once."""
    fields = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "code_verifier": attempt.verifier,
    }
    status, answer = await provider.post(metadata.token_endpoint, *authenticated(provider, metadata, fields))
    if status not in _CREATED or not isinstance(answer, dict):
        raise _failed(provider, "token", answer)
    return answer


def authenticated(
    provider: Provider, metadata: Metadata, fields: dict[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return fields and headers of a request by which the provider knows the portal."""
    client_id = provider.settings.client_id
    if provider.signing_key is not None:
        assertion = _assertion(provider.signing_key, client_id, metadata.issuer)
        known_by = {"client_assertion_type": _ASSERTION, "client_assertion": assertion}
        return {**fields, "client_id": client_id, **known_by}, {}
    if provider.settings.secret_in == "body":  # noqa: S105  where the secret is sent, not the secret
        return {**fields, "client_id": client_id, "client_secret": provider.secret}, {}
    pair = f"{quote(client_id, safe='')}:{quote(provider.secret, safe='')}"  # encoded first: RFC 6749, 2.3.1
    return fields, {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _assertion(key: SigningKey, client_id: str, audience: str) -> str:
    """Return a statement that is signed with the portal's key (RFC 7523), for this provider alone."""
    algorithm = "RS256" if isinstance(key, RSAKey) else "ES256" if isinstance(key, ECKey) else "Ed25519"
    head = {"alg": algorithm, "typ": "JWT"} | ({"kid": key.kid} if key.kid else {})
    now = int(time.time())
    claims = {"iss": client_id, "sub": client_id, "aud": audience, "jti": str(new_id()), "iat": now}
    return jwt.encode(head, claims | {"exp": now + _ASSERTION_SECONDS}, key, algorithms=[algorithm])


def _failed(provider: Provider, what: str, answer: object) -> SignInFailed:
    """Log what the provider said, which names no person, and return the refusal."""
    said = answer.get("error", "") if isinstance(answer, dict) else ""
    log.warning("sign_in_failed", issuer=provider.settings.issuer, part=what, error=str(said)[:100])
    return SignInFailed(what)
