"""Request digests: keyed hashes that recognise a repeated request, whose content could be guessed."""

import hmac
import secrets
from typing import Final
from uuid import NAMESPACE_URL, UUID, uuid5

from services.kernel.postgres.connections import Tx
from services.kernel.privacy.key_store import KEY_BYTES, KeyStore


class RequestDigests:
    """HMAC-SHA256 of requests, under one key a municipality that lies wrapped beside the keys of persons."""

    def __init__(self, key_store: KeyStore) -> None:
        """Protect the keys by a key store; each is unwrapped once in the life of a process."""
        self._key_store = key_store
        self._keys: dict[str, bytes] = {}

    async def digest(self, tx: Tx, tenant: str, request: bytes) -> bytes:
        """Return the digest of a request; raise what the key store raises."""
        key = self._keys.get(tenant)
        if key is None:
            key = self._keys[tenant] = await self._key(tx, tenant)
        return hmac.digest(key, request, "sha256")

    async def _key(self, tx: Tx, tenant: str) -> bytes:
        about = key_id(tenant)
        wrapped = await tx.fetchval(_READ, about)
        if wrapped is None:
            new = await self._key_store.wrap(tenant, secrets.token_bytes(KEY_BYTES), about=str(about))
            await tx.execute(_INSERT, about, tenant, new)
            wrapped = await tx.fetchval(_READ, about)  # another process may have been faster
        return await self._key_store.unwrap(tenant, wrapped, about=str(about))


def key_id(tenant: str) -> UUID:
    """Return the id under which a municipality's digest key is stored."""
    return uuid5(NAMESPACE_URL, f"urn:samspil:request-digests:{tenant}")


_READ: Final = "select wrapped from data_keys where subject_id = $1"

_INSERT: Final = """
insert into data_keys (subject_id, tenant, wrapped) values ($1, $2, $3) on conflict (subject_id) do nothing
"""
