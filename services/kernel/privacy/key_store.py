"""Key store: the port to the key-encryption keys that wrap the data keys of persons."""

import contextlib
import os
import secrets
from hashlib import sha256
from pathlib import Path
from typing import Final, Protocol, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from services.kernel.atomic_files import write_whole
from services.kernel.errors import ProblemError

KEY_BYTES: Final = 32
_NONCE: Final = 12
_VERSION: Final = 4
"""Bytes that name the version of a root key."""


class KeyStoreMisconfigured(ProblemError):
    """This key store is not fit for production: set SAMSPIL_VAULT_URL to a Vault or an OpenBao."""


class KeyStoreMismatch(ProblemError):
    """The key store cannot open a key: it is not the one that wrapped it."""


class KeyStoreUnavailable(ProblemError, ConnectionError):
    """The key store gives no keys now: nothing was changed, try again."""


class KeyStore(Protocol):
    """Wraps and unwraps the data key of one person, under a key of the person's municipality."""

    def for_service(self, service: str) -> "KeyStore":
        """Return the key store with the keys of one service, where each has its own."""
        ...

    async def wrap(self, tenant: str, key: bytes, *, about: str) -> bytes:
        """Return the key, readable only by `unwrap` with the same tenant and `about`."""
        ...

    async def unwrap(self, tenant: str, wrapped: bytes, *, about: str) -> bytes:
        """Return the key; raise `KeyStoreMismatch` where tenant, `about` or store are others."""
        ...

    async def newest_version(self, tenant: str) -> bytes:
        """Return by which version of a municipality's key `wrap` wraps now."""
        ...

    def version_of(self, wrapped: bytes) -> bytes:
        """Return by which version of a municipality's key something is wrapped."""
        ...


class FileKeyStore:
    """Key store of a file: root keys, the newest last, and keys for each municipality derived from them.

    Something wrapped begins with the version of its root key (the first bytes of its SHA-256). A version that
    is unknown is looked for in the file again, since another process may have added a root key.
    """

    def __init__(self, file: Path, *, mode: str) -> None:
        """Read the root keys, or make the first; raise `KeyStoreMisconfigured` in production."""
        if mode == "production":
            raise KeyStoreMisconfigured("SAMSPIL_KEK names a file, which is for development and tests")
        self._file = file
        if not file.exists():
            _create_key_file(file)
        self._derived: dict[tuple[bytes, str], AESGCM] = {}
        self._read()

    def for_service(self, service: str) -> Self:
        """Return the store itself: whoever reads the file has all keys."""
        del service
        return self

    async def wrap(self, tenant: str, key: bytes, *, about: str) -> bytes:
        """Return the key, readable only by `unwrap` with the same tenant and `about`."""
        self._read_if_changed()
        nonce = secrets.token_bytes(_NONCE)
        sealed = self._key(self._newest, tenant).encrypt(nonce, key, associated_data(tenant, about))
        return self._newest + nonce + sealed

    async def unwrap(self, tenant: str, wrapped: bytes, *, about: str) -> bytes:
        """Return the key; raise `KeyStoreMismatch` where tenant, `about` or store are others."""
        version, body = wrapped[:_VERSION], wrapped[_VERSION:]
        if version not in self._roots:
            self._read()
        try:
            return self._key(version, tenant).decrypt(
                body[:_NONCE], body[_NONCE:], associated_data(tenant, about)
            )
        except (InvalidTag, KeyError, ValueError):  # ValueError: too short to be wrapped
            raise KeyStoreMismatch("restore the key store that belongs to this database") from None

    async def newest_version(self, tenant: str) -> bytes:
        """Return the version of the newest root key."""
        del tenant
        self._read_if_changed()
        return self._newest

    def version_of(self, wrapped: bytes) -> bytes:
        """Return the version of the root key that something is wrapped by."""
        return wrapped[:_VERSION]

    def add_root_key(self) -> None:
        """Add a root key, by which everything is wrapped from now on; the older ones still unwrap."""
        self._read()
        write_whole(self._file, b"".join(self._roots.values()) + secrets.token_bytes(KEY_BYTES))
        self._read()

    def _read_if_changed(self) -> None:
        """Read the file again where another process has added a root key."""
        if self._changed_at != self._file.stat().st_mtime_ns:
            self._read()

    def _read(self) -> None:
        self._changed_at = self._file.stat().st_mtime_ns
        content = self._file.read_bytes()
        if not content or len(content) % KEY_BYTES:
            raise KeyStoreMismatch(f"{self._file} must hold {KEY_BYTES} bytes for each key")
        roots = [content[at : at + KEY_BYTES] for at in range(0, len(content), KEY_BYTES)]
        self._roots = {sha256(root).digest()[:_VERSION]: root for root in roots}
        self._newest = sha256(roots[-1]).digest()[:_VERSION]

    def _key(self, version: bytes, tenant: str) -> AESGCM:
        """Return a municipality's key of a version (RFC 5869)."""
        key = self._derived.get((version, tenant))
        if key is None:
            info = f"samspil kek {tenant}".encode()
            derived = HKDF(SHA256(), KEY_BYTES, salt=None, info=info).derive(self._roots[version])
            key = self._derived[version, tenant] = AESGCM(derived)
        return key


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
