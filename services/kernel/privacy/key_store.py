"""Key store: the port to the key-encryption keys that wrap the data keys of persons."""

import contextlib
import os
import secrets
from pathlib import Path
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from services.kernel.errors import ProblemError

KEY_BYTES: Final = 32
_NONCE: Final = 12


class KeyStoreMisconfigured(ProblemError):
    """This key store is not fit for production: set SAMSPIL_VAULT_URL to a Vault or an OpenBao."""


class KeyStoreMismatch(ProblemError):
    """The key store cannot open a key: it is not the one that wrapped it."""


class KeyStoreUnavailable(ProblemError, ConnectionError):
    """The key store gives no keys now: nothing was changed, try again."""


class KeyStore(Protocol):
    """Wraps and unwraps the data key of one person, under a key of the person's municipality."""

    async def wrap(self, tenant: str, key: bytes, *, about: str) -> bytes:
        """Return the key, readable only by `unwrap` with the same tenant and `about`."""
        ...

    async def unwrap(self, tenant: str, wrapped: bytes, *, about: str) -> bytes:
        """Return the key; raise `KeyStoreMismatch` where tenant, `about` or store are others."""
        ...


class FileKeyStore:
    """Key store of a file: a root key, and a key for each municipality derived from it (RFC 5869)."""

    def __init__(self, file: Path, *, mode: str) -> None:
        """Read the root key, or make it; raise `KeyStoreMisconfigured` in production."""
        if mode == "production":
            raise KeyStoreMisconfigured("SAMSPIL_KEK names a file, which is for development and tests")
        if not file.exists():
            _create_key_file(file)
        self._root = file.read_bytes()
        if len(self._root) != KEY_BYTES:
            raise KeyStoreMismatch(f"{file} must hold {KEY_BYTES} bytes")
        self._of_tenant: dict[str, AESGCM] = {}

    async def wrap(self, tenant: str, key: bytes, *, about: str) -> bytes:
        """Return the key, readable only by `unwrap` with the same tenant and `about`."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._key(tenant).encrypt(nonce, key, associated_data(tenant, about))

    async def unwrap(self, tenant: str, wrapped: bytes, *, about: str) -> bytes:
        """Return the key; raise `KeyStoreMismatch` where tenant, `about` or store are others."""
        try:
            return self._key(tenant).decrypt(
                wrapped[:_NONCE], wrapped[_NONCE:], associated_data(tenant, about)
            )
        except InvalidTag:
            raise KeyStoreMismatch("restore the key store that belongs to this database") from None

    def _key(self, tenant: str) -> AESGCM:
        if tenant not in self._of_tenant:
            info = f"samspil kek {tenant}".encode()
            derived = HKDF(SHA256(), KEY_BYTES, salt=None, info=info).derive(self._root)
            self._of_tenant[tenant] = AESGCM(derived)
        return self._of_tenant[tenant]


def associated_data(tenant: str, about: str) -> bytes:
    """Return the associated data that a wrapped key is bound to."""
    return f"{tenant}|{about}|data_keys".encode()


def _create_key_file(file: Path) -> None:
    """Create the file whole or not at all; of several concurrent calls the first one's key stays."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = file.with_suffix(f".{secrets.token_hex(8)}.new")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as out:
        out.write(secrets.token_bytes(KEY_BYTES))
        out.flush()
        os.fsync(out.fileno())
    with contextlib.suppress(FileExistsError):
        os.link(beside, file)
    beside.unlink()
