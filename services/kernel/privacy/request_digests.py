"""By what a repeated request is recognised: a keyed digest, for what it is made of may be guessed."""

import hmac
import secrets
from typing import Final
from uuid import NAMESPACE_URL, UUID, uuid5

from services.kernel.decider.service import Tx
from services.kernel.privacy.key_store import KEY_BYTES, KeyStore


class RequestDigests:
    """Fingerprints under a key of each municipality, which lies wrapped beside the keys of persons."""

    def __init__(self, key_store: KeyStore) -> None:
        """Let the key store guard the keys; each is asked of it once in the life of a process."""
        self._kms = key_store
        self._keys: dict[str, bytes] = {}

    async def digest(self, tx: Tx, tenant: str, request: bytes) -> bytes:
        """Return the fingerprint of a request; raise what the key store raises."""
        key = self._keys.get(tenant)
        if key is None:
            key = self._keys[tenant] = await self._key(tx, tenant)
        return hmac.digest(key, request, "sha256")

    async def _key(self, tx: Tx, tenant: str) -> bytes:
        about = key_id(tenant)
        wrapped = await tx.fetchval(_READ, about)
        if wrapped is None:
            fresh = await self._kms.wrap(tenant, secrets.token_bytes(KEY_BYTES), about=str(about))
            await tx.execute(_INSERT, about, tenant, fresh)
            wrapped = await tx.fetchval(_READ, about)  # another process may have been faster
        return await self._kms.unwrap(tenant, wrapped, about=str(about))


def key_id(tenant: str) -> UUID:
    """Return under which id a municipality's key for fingerprints lies."""
    return uuid5(NAMESPACE_URL, f"urn:samspil:fingerprints:{tenant}")


_READ: Final = "select wrapped from data_keys where subject_id = $1"

_INSERT: Final = """
insert into data_keys (subject_id, tenant, wrapped) values ($1, $2, $3) on conflict (subject_id) do nothing
"""
