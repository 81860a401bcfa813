"""Public keys of an issuer: read from its file or address, checked, and kept current."""

import asyncio
import json
import ssl
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, TypeAlias

import aiohttp
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from services.kernel.issuer_settings import IssuerSettings
from services.kernel.logging import log

REFETCH_SECONDS: Final = 60.0
"""At most so often are keys read because a token names one that is not there."""

KEPT_SECONDS: Final = 3600.0
"""How long the last keys are used while newer ones cannot be read."""

_ANSWER_SECONDS: Final = 10.0
_LARGEST_BYTES: Final = 256 * 1024
_MOST_KEYS: Final = 100
_FEWEST_RSA_BITS: Final = 2048
_SMALLEST_EXPONENT: Final = 65537
_PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_ED25519: Final = frozenset({"EdDSA", "Ed25519"})
_ALGORITHMS: Final = {"OKP": ("Ed25519",), "EC": ("ES256",), "RSA": ("RS256", "PS256")}
_CURVES: Final = {"OKP": "Ed25519", "EC": "P-256"}

Key: TypeAlias = OKPKey | ECKey | RSAKey

_CLASSES: Final[dict[str, type[Key]]] = {"OKP": OKPKey, "EC": ECKey, "RSA": RSAKey}


class KeysRefused(ValueError):
    """A document of keys that is not taken, with the reason."""


class IssuerKeys:
    """Public keys of one issuer: the last that could be read, for a bounded time."""

    def __init__(
        self, read: Callable[[], Awaitable[bytes]], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Read the document of keys by `read`; nothing is read before `refresh`."""
        self._read = read
        self._monotonic = monotonic
        self._keys: tuple[Key, ...] = ()
        self._read_at: float | None = None
        self._refetched_at: float | None = None
        self._refetching = asyncio.Lock()
        self.generation = 0
        """How often the keys have changed: what an older generation verified is verified again."""

    @property
    def usable(self) -> bool:
        """Whether keys were read, and not too long ago."""
        return self._read_at is not None and self._monotonic() - self._read_at <= KEPT_SECONDS

    def key_of(self, kid: str | None, algorithm: str) -> Key | None:
        """Return the one key that a token may have been signed with; without a `kid` only one may fit."""
        fitting = [
            key
            for key in self._keys
            if algorithm in _ALGORITHMS[key.key_type]
            and key.alg in (None, algorithm)
            and kid in (None, key.kid)
        ]
        return fitting[0] if len(fitting) == 1 else None

    async def refresh(self) -> None:
        """Read the keys again; raise `KeysRefused`, `OSError` or `aiohttp.ClientError`, and keep the last."""
        keys = public_keys(await self._read())
        self._read_at = self._monotonic()
        if keys != self._keys:
            self._keys = keys
            self.generation += 1

    async def refresh_quietly(self, issuer: str) -> None:
        """Read the keys again; where that fails the log says so."""
        try:
            await self.refresh()
        except KeysRefused as fault:
            log.error("issuer_keys_refused", issuer=issuer, why=str(fault))
        except (OSError, aiohttp.ClientError) as fault:
            log.warning("issuer_keys_unread", issuer=issuer, kind=type(fault).__name__)

    async def refetch(self, issuer: str) -> None:
        """Read the keys again for a token that names an unknown one, at most once a minute."""
        async with self._refetching:
            now = self._monotonic()
            if self._refetched_at is None or now - self._refetched_at >= REFETCH_SECONDS:
                self._refetched_at = now
                await self.refresh_quietly(issuer)


def keys_of(issuer: IssuerSettings, session: aiohttp.ClientSession) -> IssuerKeys:
    """Return the keys of an issuer of the settings, not yet read."""
    if not issuer.has_address:
        file = Path(issuer.keys)
        return IssuerKeys(lambda: asyncio.to_thread(file.read_bytes))
    trust = ssl.create_default_context(cafile=str(issuer.ca) if issuer.ca else None)
    return IssuerKeys(lambda: fetch_document(session, issuer.keys, trust))


async def fetch_document(session: aiohttp.ClientSession, address: str, trust: ssl.SSLContext) -> bytes:
    """Return the document at an address, without following it elsewhere; raise `KeysRefused`."""
    timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
    async with session.get(address, ssl=trust, allow_redirects=False, timeout=timeout) as answer:
        if answer.status != HTTPStatus.OK:
            raise KeysRefused(f"its address answered {answer.status}")
        document = b""
        async for chunk in answer.content.iter_any():
            document += chunk
            if len(document) > _LARGEST_BYTES:
                raise KeysRefused(f"more than {_LARGEST_BYTES} bytes")
    return document


def public_keys(document: bytes) -> tuple[Key, ...]:
    """Return the keys of a key set (JWKS, RFC 7517) by which tokens may be verified; raise `KeysRefused`.

    Keys of other kinds and for encryption are passed over; a symmetric key, a private one or a weak one
    refuses the whole set, since it means that the issuer is set up wrongly.
    """
    try:
        held = json.loads(document)["keys"]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise KeysRefused("no key set (JWKS, RFC 7517)") from None
    if not isinstance(held, list) or not all(isinstance(one, dict) for one in held):
        raise KeysRefused("no key set (JWKS, RFC 7517)")
    if len(held) > _MOST_KEYS:
        raise KeysRefused(f"more than {_MOST_KEYS} keys")
    keys = tuple(key for one in held if (key := _public_key(one)) is not None)
    if not keys:
        raise KeysRefused("it holds no public key of Ed25519, P-256 or RSA")
    return keys


def _public_key(one: dict[str, Any]) -> Key | None:
    kind = one.get("kty")
    if kind == "oct":
        raise KeysRefused("it holds a symmetric key (`oct`): its owner could sign tokens too")
    if _PRIVATE_MEMBERS & one.keys():
        raise KeysRefused("it holds a private key: whoever reads it can sign tokens")
    if one.get("use", "sig") != "sig" or kind not in _ALGORITHMS or _CURVES.get(kind) != one.get("crv"):
        return None
    if one.get("alg") in _ED25519:  # two names of the same algorithm (RFC 9864)
        one = {**one, "alg": "Ed25519"}
    try:
        key = _CLASSES[kind].import_key(one)
        key.get_op_key("verify")
        key.ensure_kid()
    except (JoseError, ValueError, TypeError, LookupError):
        raise KeysRefused(f"a key of kind {kind} cannot be read") from None
    if isinstance(key, RSAKey):
        _require_strong(key)
    return key


def _require_strong(key: RSAKey) -> None:
    numbers = key.public_key.public_numbers()
    if numbers.n.bit_length() < _FEWEST_RSA_BITS or numbers.e < _SMALLEST_EXPONENT:
        least = f"{_FEWEST_RSA_BITS} bits and an exponent of {_SMALLEST_EXPONENT}"
        raise KeysRefused(f"an RSA key is weak: {least} are the least")
