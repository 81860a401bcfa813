"""Vault key store: the transit engine of HashiCorp Vault or OpenBao, over HTTP, for production."""

import ssl
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final, Self
from urllib.parse import urlsplit

import aiohttp
import msgspec

from services.kernel.privacy.key_store import (
    KEY_BYTES,
    KeyStoreMisconfigured,
    KeyStoreMismatch,
    KeyStoreUnavailable,
    associated_data,
)
from services.kernel.settings import Settings

REQUEST_TIMEOUT_SECONDS: Final = 5.0
_CONCURRENT_REQUESTS: Final = 16
_ANY_SERVICE: Final = "any"
"""Stands for a service until `for_service` names one; no policy allows it anything."""
_PROBE: Final = "probe"
"""What a value is about that is wrapped to learn the key's version, and thrown away."""
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_ADVICE: Final[Mapping[int, str]] = {
    HTTPStatus.BAD_REQUEST: "the engine knows no such key, or not one of type aes256-gcm96",
    HTTPStatus.FORBIDDEN: "its policy or its token does not allow this",
    HTTPStatus.NOT_FOUND: "no transit engine is mounted there: see SAMSPIL_VAULT_MOUNT",
    HTTPStatus.SERVICE_UNAVAILABLE: "it is sealed: unseal it",
}


class _Data(msgspec.Struct):
    ciphertext: str = ""
    plaintext: str = ""


class _Answer(msgspec.Struct):
    data: _Data


class VaultKeyStore:
    """Wraps data keys under transit keys that never leave the store, one for each service and municipality.

    They are named `samspil-<service>-<code>`. The token of a service needs `update` on encrypt and decrypt of
    its own keys, and `create` on the first where keys are to be created with their first use
    (`deploy/vault_policies.py`). Associated data binds a wrapped key to its person.
    """

    def __init__(self, session: aiohttp.ClientSession, mount: str, service: str) -> None:
        """Send requests through a session that has address and token, for the keys of one service."""
        self._session = session
        self._mount = mount.strip("/")
        self._service = service

    def for_service(self, service: str) -> Self:
        """Return the key store with the keys of one service."""
        return type(self)(self._session, self._mount, service)

    async def wrap(self, tenant: str, key: bytes, *, about: str) -> bytes:
        """Return the key, readable only by `unwrap` with the same tenant and `about`."""
        data = await self._request("encrypt", tenant, about, plaintext=b64encode(key).decode())
        if not data.ciphertext:
            raise KeyStoreUnavailable("encrypt answered without a ciphertext")
        return data.ciphertext.encode()

    async def unwrap(self, tenant: str, wrapped: bytes, *, about: str) -> bytes:
        """Return the key; raise `KeyStoreMismatch` where tenant, `about` or store are others."""
        try:
            data = await self._request("decrypt", tenant, about, ciphertext=wrapped.decode())
            key = b64decode(data.plaintext, validate=True)
        except (UnicodeDecodeError, NotBase64):
            raise KeyStoreMismatch("this key was not wrapped by a transit engine") from None
        if len(key) != KEY_BYTES:
            raise KeyStoreMismatch(f"decrypt answered with {len(key)} bytes instead of {KEY_BYTES}")
        return key

    async def newest_version(self, tenant: str) -> bytes:
        """Return the newest version of a municipality's key; a service may read it by encrypting only."""
        return self.version_of(await self.wrap(tenant, bytes(KEY_BYTES), about=_PROBE))

    def version_of(self, wrapped: bytes) -> bytes:
        """Return the version of the key by which something is wrapped, as in `vault:v2`."""
        return wrapped.rpartition(b":")[0]

    async def _request(self, what: str, tenant: str, about: str, **fields: str) -> _Data:
        """Call the engine; raise `KeyStoreUnavailable`, or `KeyStoreMismatch` if it will not open a key."""
        body = {**fields, "associated_data": b64encode(associated_data(tenant, about)).decode()}
        name = transit_key(self._service, tenant)
        path = f"v1/{self._mount}/{what}/{name}"
        try:
            async with self._session.post(path, json=body, allow_redirects=False) as answer:
                status, said = answer.status, await answer.read()
        except (aiohttp.ClientError, OSError) as fault:  # TimeoutError is an OSError
            raise KeyStoreUnavailable(f"{what}: no answer ({type(fault).__name__})") from None
        if status == HTTPStatus.BAD_REQUEST and what == "decrypt":
            raise KeyStoreMismatch("restore the key store that belongs to this database")
        if status != HTTPStatus.OK:
            hint = _ADVICE.get(status, "see its operator")
            raise KeyStoreUnavailable(f"{what} {name} answered {status}: {hint}")
        try:
            return msgspec.json.decode(said, type=_Answer).data
        except msgspec.MsgspecError:
            raise KeyStoreUnavailable(f"{what}: the answer is not one of a transit engine") from None


def transit_key(service: str, tenant: str) -> str:
    """Return the name of the transit key of a service and a municipality."""
    return f"samspil-{service}-{tenant}"


@asynccontextmanager
async def vault(
    settings: Settings, *, request_seconds: float = REQUEST_TIMEOUT_SECONDS
) -> AsyncIterator[VaultKeyStore]:
    """Open the key store of the settings; raise `KeyStoreMisconfigured` if keys would travel in the clear."""
    async with vault_session(settings, request_seconds=request_seconds) as session:
        yield VaultKeyStore(session, settings.vault_mount, _ANY_SERVICE)


@asynccontextmanager
async def vault_session(
    settings: Settings, *, request_seconds: float = REQUEST_TIMEOUT_SECONDS
) -> AsyncIterator[aiohttp.ClientSession]:
    """Open a session with the address and the token of the settings; raise `KeyStoreMisconfigured`.

    Without a token none is sent, as an agent of the store on the loopback address wants it.
    """
    address = urlsplit(settings.vault_url)
    if address.scheme != "https" and address.hostname not in _LOOPBACK:
        raise KeyStoreMisconfigured(
            "SAMSPIL_VAULT_URL begins with https, unless it is on the loopback address"
        )
    token = settings.vault_token.get_secret_value()
    async with aiohttp.ClientSession(
        f"{settings.vault_url.rstrip('/')}/",
        headers={"X-Vault-Request": "true", **({"X-Vault-Token": token} if token else {})},
        timeout=aiohttp.ClientTimeout(total=request_seconds),
        connector=aiohttp.TCPConnector(limit=_CONCURRENT_REQUESTS, ssl=_trust(settings)),
    ) as session:
        yield session


def _trust(settings: Settings) -> ssl.SSLContext | bool:
    return True if settings.vault_ca is None else ssl.create_default_context(cafile=str(settings.vault_ca))
