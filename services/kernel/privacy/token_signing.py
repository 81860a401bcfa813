"""Signing keys of tokens: Ed25519 in a file for development, or in Vault's transit engine, which keeps it."""

import json
import time
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Protocol

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.util import urlsafe_b64encode

from services.kernel.atomic_files import write_whole
from services.kernel.errors import Unavailable
from services.kernel.privacy.vault import vault_session
from services.kernel.settings import Settings, SettingsFault

TRANSIT_KEY: Final = "samspil-portal-tokens"
EMBEDDED_ISSUER: Final = "samspil:portal"
"""The issuer that the portal's tokens name in the embedded installation; else it is the public address."""

_NEWEST_SECONDS: Final = 300.0


class TokensUnavailable(Unavailable):
    """You cannot be let in just now, for the key of the portal does not answer: try again in a moment."""


class TokenSigner(Protocol):
    """A key that signs tokens; private parts of it are shown to nobody."""

    async def current(self) -> str:
        """Return the id (`kid`) of the key that signs now."""
        ...

    async def sign(self, kid: str, content: bytes) -> bytes:
        """Return the Ed25519 signature of bytes by a key."""
        ...

    async def public_keys(self) -> list[dict[str, Any]]:
        """Return the public keys (JWK) by which its signatures are verified."""
        ...


class FileSigner:
    """Signs with a key in a file that its owner alone reads; for one machine, and refused in production."""

    def __init__(self, file: Path) -> None:
        """Read the key, or make one where there is no file; raise `SettingsFault`."""
        if not file.exists():
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(file, json.dumps(OKPKey.generate_key("Ed25519").as_dict(private=True)))
        try:
            key = OKPKey.import_key(json.loads(file.read_text(encoding="utf-8")))
            private = key.get_op_key("sign")
        except (JoseError, ValueError, LookupError, TypeError, OSError):
            private = None
        if not isinstance(private, Ed25519PrivateKey):
            raise SettingsFault(f"SAMSPIL_PORTAL_KEY: {file} holds no private key of Ed25519 (JWK)")
        self._private = private
        self._public = _published(key.as_dict(private=False))

    async def current(self) -> str:
        """Return the id of its one key."""
        return str(self._public["kid"])

    async def sign(self, kid: str, content: bytes) -> bytes:  # noqa: ARG002  it has one key
        """Return the signature."""
        return self._private.sign(content)

    async def public_keys(self) -> list[dict[str, Any]]:
        """Return its one public key."""
        return [self._public]


class VaultSigner:
    """Signs with a transit key of type `ed25519` in Vault or OpenBao.

    Its token needs `update` on `transit/sign/samspil-portal-tokens` and `read` on the key. A new version of
    the key is published at once and signs some minutes later, when every service has had time to read it.
    """

    def __init__(self, session: aiohttp.ClientSession, mount: str) -> None:
        """Send requests through a session that has address and token."""
        self._session = session
        self._mount = mount.strip("/")
        self._versions: dict[str, int] = {}
        self._current = ""
        self._read_at = 0.0

    async def current(self) -> str:
        """Return the id of the key that was the newest some minutes ago; raise `TokensUnavailable`."""
        if not self._current or time.monotonic() - self._read_at > _NEWEST_SECONDS:
            self._current = str((await self.public_keys())[-1]["kid"])
            self._read_at = time.monotonic()
        return self._current

    async def sign(self, kid: str, content: bytes) -> bytes:
        """Return the signature by a version of the key; raise `TokensUnavailable`."""
        body = {"input": b64encode(content).decode(), "key_version": self._versions[kid]}
        data = await self._ask(f"sign/{TRANSIT_KEY}", body)
        try:
            return b64decode(str(data.get("signature", "")).rpartition(":")[2], validate=True)
        except NotBase64:
            raise TokensUnavailable("no signature") from None

    async def public_keys(self) -> list[dict[str, Any]]:
        """Return the public key of each version; raise `TokensUnavailable`."""
        data = await self._ask(f"keys/{TRANSIT_KEY}")
        if data.get("type") != "ed25519" or not isinstance(data.get("keys"), dict):
            raise TokensUnavailable("a transit key of type ed25519")
        found = sorted((int(version), key["public_key"]) for version, key in data["keys"].items())
        keys = {
            number: _published({"x": urlsafe_b64encode(b64decode(public)).decode()})
            for number, public in found
        }
        self._versions = {str(key["kid"]): number for number, key in keys.items()}
        return list(keys.values())

    async def _ask(self, path: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """Return what the engine answers to a question, or to a body; raise `TokensUnavailable`."""
        address = f"v1/{self._mount}/{path}"
        sending = (
            self._session.get(address, allow_redirects=False)
            if body is None
            else self._session.post(address, json=body, allow_redirects=False)
        )
        try:
            async with sending as answer:
                status, said = answer.status, await answer.json(content_type=None)
        except (aiohttp.ClientError, OSError, ValueError) as fault:  # TimeoutError is an OSError
            raise TokensUnavailable(type(fault).__name__) from None
        if status != HTTPStatus.OK or not isinstance(said, dict) or not isinstance(said.get("data"), dict):
            raise TokensUnavailable(f"{path} answered {status}")
        data: Mapping[str, Any] = said["data"]
        return data


def _published(key: Mapping[str, Any]) -> dict[str, Any]:
    """Return a public key as a key set shows it; its id is its thumbprint (RFC 7638)."""
    public = {"kty": "OKP", "crv": "Ed25519", "x": key["x"]}
    return {**public, "kid": OKPKey.import_key(public).thumbprint(), "use": "sig", "alg": "Ed25519"}


@asynccontextmanager
async def token_signer_of(settings: Settings) -> AsyncIterator[TokenSigner]:
    """Open the signer that the settings name; raise `SettingsFault` where there is none."""
    if settings.vault_url and settings.portal_key is None:
        async with vault_session(settings) as session:
            yield VaultSigner(session, settings.vault_mount)
        return
    if settings.portal_key is None:
        raise SettingsFault("SAMSPIL_PORTAL_KEY: name a file for the portal's key, or SAMSPIL_VAULT_URL")
    if settings.mode == "production":
        raise SettingsFault("SAMSPIL_PORTAL_KEY: in production Vault keeps the key: unset it")
    yield FileSigner(settings.portal_key)
