"""Sign-in services of the tests: made-up issuers, their keys, and tokens of every kind."""

import asyncio
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from services.kernel.embedded.development_api import DEVELOPMENT_ISSUER, Issuer
from services.kernel.http.authentication import TrustedIssuer
from services.kernel.http.issuer_keys import IssuerKeys
from services.kernel.issuer_settings import ROLES, IssuerSettings, Level

AUDIENCE: Final = "samspil"
SIGN_IN: Final = "https://sign-in.test"
PERSON: Final = UUID("0199a000-0000-7000-8000-000000000001")
LEVELS: Final[dict[str, Level]] = {"low": "low", "substantial": "substantial", "high": "high"}


def key_set(*keys: OKPKey | ECKey | RSAKey) -> bytes:
    """Return the document (JWKS) of the public halves of keys."""
    for key in keys:
        key.ensure_kid()
    return json.dumps({"keys": [key.as_dict(private=False) for key in keys]}).encode()


def trusting(
    *keys: OKPKey | ECKey | RSAKey,
    name: str = SIGN_IN,
    municipalities: frozenset[str] | None = None,
    assurance: Mapping[str, Level] = LEVELS,
    roles: frozenset[str] = ROLES,
) -> TrustedIssuer:
    """Return an issuer with these keys, which may speak for every municipality unless some are named."""

    async def read() -> bytes:
        return key_set(*keys)

    source = IssuerKeys(read)
    _now(source.refresh())
    return TrustedIssuer(name, source, municipalities, dict(assurance), roles)


def _now(reading: Any) -> None:
    """Run a coroutine that waits for nothing to its end, also where an event loop runs."""
    try:
        reading.send(None)
    except StopIteration:
        return
    raise AssertionError("it waited")


def claims(**more: object) -> dict[str, object]:
    """Return the claims of a caseworker who signed in just now; a claim that is None is left out."""
    now = int(time.time())
    whole = {
        "iss": SIGN_IN,
        "sub": str(PERSON),
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + 300,
        "role": "caseworker",
        "tenant": "0440",
        "acr": "high",
        **more,
    }
    return {name: value for name, value in whole.items() if value is not None}


def sign(
    key: OKPKey | ECKey | RSAKey, algorithm: str, head: Mapping[str, object] | None = None, **more: object
) -> str:
    """Return a token signed with a key; `head` adds to its header."""
    header = {"alg": algorithm, **(head or {})}
    return jwt.encode(header, claims(**more), key, algorithms=[algorithm])


def development_issuer(issuer: Issuer, folder: Path, *municipalities: str) -> str:
    """Write the development issuer's keys into a folder; return the setting that trusts it."""
    file = folder / "jwks.json"
    file.write_text(json.dumps(issuer.public.as_dict(private=False)))
    entry = IssuerSettings(
        issuer=DEVELOPMENT_ISSUER, keys=str(file), municipalities=frozenset(municipalities)
    )
    return json.dumps([entry.model_dump(mode="json")])


def authenticated(verifier: Any, token: str) -> Any:
    """Return the actor of a token outside an event loop."""
    return asyncio.run(verifier.authenticate(f"Bearer {token}"))
