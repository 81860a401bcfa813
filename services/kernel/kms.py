"""The key-encryption key behind a port: whoever holds it can open the keys of persons."""

import os
import secrets
from pathlib import Path
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from services.kernel.errors import No

_NONCE: Final = 12
_KEY: Final = 32


class KeyStoreUnfit(No):
    """The file key store is for development and tests only: configure a key management service."""


class KeyStoreBroken(No):
    """The key store cannot open a key: it is not the one that wrapped it."""


class Kms(Protocol):
    """Wraps and unwraps the data key of one person, under a key of the person's municipality."""

    def wrap(self, tenant: str, key: bytes, *, about: str) -> bytes:
        """Return the key, readable only by `unwrap` with the same tenant and `about`."""
        ...

    def unwrap(self, tenant: str, wrapped: bytes, *, about: str) -> bytes:
        """Return the key; raise `KeyStoreBroken` where tenant, `about` or store are others."""
        ...


class FileKms:
    """A root key in a file, and a key for each municipality derived from it (RFC 5869)."""

    def __init__(self, file: Path, *, mode: str) -> None:
        """Read the root key, or make it; raise `KeyStoreUnfit` in production."""
        if mode == "production":
            raise KeyStoreUnfit(f"{file} was named as key store while SAMSPIL_MODE is production")
        if not file.exists():
            _make(file)
        self._root = file.read_bytes()
        if len(self._root) != _KEY:
            raise KeyStoreBroken(f"{file} must hold {_KEY} bytes")
        self._of_tenant: dict[str, AESGCM] = {}

    def wrap(self, tenant: str, key: bytes, *, about: str) -> bytes:
        """Return the key, readable only by `unwrap` with the same tenant and `about`."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._key(tenant).encrypt(nonce, key, _aad(tenant, about))

    def unwrap(self, tenant: str, wrapped: bytes, *, about: str) -> bytes:
        """Return the key; raise `KeyStoreBroken` where tenant, `about` or store are others."""
        try:
            return self._key(tenant).decrypt(wrapped[:_NONCE], wrapped[_NONCE:], _aad(tenant, about))
        except InvalidTag:
            raise KeyStoreBroken("restore the key store that belongs to this database") from None

    def _key(self, tenant: str) -> AESGCM:
        if tenant not in self._of_tenant:
            info = f"samspil kek {tenant}".encode()
            derived = HKDF(SHA256(), _KEY, salt=None, info=info).derive(self._root)
            self._of_tenant[tenant] = AESGCM(derived)
        return self._of_tenant[tenant]


def _aad(tenant: str, about: str) -> bytes:
    return f"{tenant}|{about}|data_keys".encode()


def _make(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_suffix(".new")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as out:
        out.write(secrets.token_bytes(_KEY))
        out.flush()
        os.fsync(out.fileno())
    beside.replace(file)
