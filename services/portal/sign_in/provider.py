"""An OpenID provider: its discovery document and its keys, read over TLS, checked and kept for a while."""

import asyncio
import json
import ssl
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.kernel.http.issuer_keys import IssuerKeys, Key, KeysRefused, fetch_document
from services.kernel.logging import log
from services.kernel.sign_in_settings import ProviderSettings
from services.portal.sign_in.refusals import SignInFailed, SignInSilent

_METADATA_SECONDS: Final = 600.0
_KEYS_SECONDS: Final = 300.0
_ANSWER_SECONDS: Final = 10.0
_LARGEST_BYTES: Final = 256 * 1024
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")

SigningKey = OKPKey | ECKey | RSAKey
"""A private key by which the portal is known at a provider."""


class Metadata(BaseModel):
    """What a discovery document says of a provider (OpenID Connect Discovery 1.0); more is ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    pushed_authorization_request_endpoint: str = ""
    end_session_endpoint: str = ""
    authorization_response_iss_parameter_supported: bool = False
    acr_values_supported: tuple[str, ...] = ()
    code_challenge_methods_supported: tuple[str, ...] = Field(default=("S256",))

    @property
    def addresses(self) -> tuple[str, ...]:
        """All addresses that the portal, or a browser, is sent to."""
        named = (self.pushed_authorization_request_endpoint, self.end_session_endpoint)
        return (
            self.authorization_endpoint,
            self.token_endpoint,
            self.jwks_uri,
            *(address for address in named if address),
        )


class Provider:
    """One provider of the settings; nothing is read before it is needed."""

    def __init__(
        self,
        settings: ProviderSettings,
        session: aiohttp.ClientSession,
        *,
        plain: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Reach a provider; `plain` allows http on a loopback address. Raises `OSError` for its files."""
        self.settings = settings
        self._session = session
        self._plain = plain
        self._monotonic = monotonic
        self._trust = ssl.create_default_context(cafile=str(settings.ca) if settings.ca else None)
        self.signing_key = _signing_key(settings)
        self.secret = settings.secret.read_text(encoding="utf-8").strip() if settings.secret else ""
        self._metadata: Metadata | None = None
        self._read_at = 0.0
        self._keys_read_at = 0.0
        self._reading = asyncio.Lock()
        self._keys = IssuerKeys(self._read_keys, monotonic=monotonic)

    async def metadata(self) -> Metadata:
        """Return the discovery document; the last one while no newer can be read. Raises `SignInSilent`."""
        async with self._reading:
            if self._metadata is None or self._monotonic() - self._read_at > _METADATA_SECONDS:
                await self._discover()
            if self._metadata is None:
                raise SignInSilent
            return self._metadata

    async def key_of(self, kid: str | None, algorithm: str) -> Key | None:
        """Return the key that an ID token names, after another look where it is unknown."""
        if not self._keys.usable or self._monotonic() - self._keys_read_at > _KEYS_SECONDS:
            await self._keys.refresh_quietly(self.settings.issuer)
        key = self._keys.key_of(kid, algorithm)
        if key is None and kid is not None:
            await self._keys.refetch(self.settings.issuer)
            key = self._keys.key_of(kid, algorithm)
        if not self._keys.usable:
            raise SignInSilent
        return key

    async def post(self, address: str, fields: dict[str, str], headers: dict[str, str]) -> tuple[int, Any]:
        """Send a form, and return the status and the document answered; raises `SignInSilent`."""
        timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
        try:
            async with self._session.post(
                address, data=fields, headers={"Accept": "application/json", **headers}, ssl=self._trust,
                allow_redirects=False, timeout=timeout,
            ) as answer:  # fmt: skip
                content = b""
                async for chunk in answer.content.iter_any():
                    content += chunk[: _LARGEST_BYTES - len(content)]
        except (aiohttp.ClientError, OSError) as fault:  # TimeoutError is an OSError
            log.warning("sign_in_silent", issuer=self.settings.issuer, kind=type(fault).__name__)
            raise SignInSilent from None
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.warning("sign_in_silent", issuer=self.settings.issuer, kind=str(answer.status))
            raise SignInSilent
        try:
            return answer.status, json.loads(content)
        except (ValueError, RecursionError):
            return answer.status, None

    async def _discover(self) -> None:
        """Read the discovery document; one that cannot be taken leaves the last, and the log says so."""
        address = f"{self.settings.issuer.rstrip('/')}/.well-known/openid-configuration"
        try:
            self._require_tls(self.settings.issuer)
            found = Metadata.model_validate_json(await fetch_document(self._session, address, self._trust))
            self._require_usable(found)
        except (ValidationError, KeysRefused) as fault:
            why = str(fault) if isinstance(fault, KeysRefused) else "it is no discovery document"
            log.error("sign_in_discovery_refused", issuer=self.settings.issuer, why=why)
        except (OSError, aiohttp.ClientError) as fault:
            log.warning("sign_in_silent", issuer=self.settings.issuer, kind=type(fault).__name__)
        else:
            self._metadata, self._read_at = found, self._monotonic()

    async def _read_keys(self) -> bytes:
        metadata = await self.metadata()
        document = await fetch_document(self._session, metadata.jwks_uri, self._trust)
        self._keys_read_at = self._monotonic()
        return document

    def _require_usable(self, found: Metadata) -> None:
        """Refuse a document of another issuer, with a plain address, or without PKCE."""
        if found.issuer != self.settings.issuer:
            raise KeysRefused("it names another issuer")
        for one in found.addresses:
            self._require_tls(one)
        if "S256" not in found.code_challenge_methods_supported:
            raise KeysRefused("it has no PKCE with S256")

    def _require_tls(self, address: str) -> None:
        """Refuse an address that is not https, or on a loopback address where that is allowed."""
        parts = urlsplit(address)
        local = self._plain and parts.scheme == "http" and parts.hostname in _LOOPBACK
        if not (parts.scheme == "https" and parts.hostname) and not local:
            raise KeysRefused("an address of it does not begin with https")


def _signing_key(settings: ProviderSettings) -> SigningKey | None:
    """Return the private key of the settings; raise `SignInFailed` where the file holds none."""
    if settings.key is None:
        return None
    kinds: dict[str, type[SigningKey]] = {"OKP": OKPKey, "EC": ECKey, "RSA": RSAKey}
    try:
        held = json.loads(settings.key.read_text(encoding="utf-8"))
        key = kinds[held["kty"]].import_key(held)
        key.get_op_key("sign")
    except (JoseError, ValueError, LookupError, TypeError):
        raise SignInFailed(f"{settings.key} holds no private key (JWK)") from None
    return key
