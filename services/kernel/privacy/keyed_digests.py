"""Keyed digests: hashes that recognise a repeated request or an identity, whose content could be guessed."""

import hmac
import secrets
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from services.kernel.postgres.connections import Tx
from services.kernel.privacy.key_store import KEY_BYTES, KeyStore

REQUESTS: Final = "request-digests"
"""What the keys of requests are for: their name in `internal_keys`, and what their wrapping is bound to."""


class KeyedDigests:
    """HMAC-SHA256 under one key a municipality and a purpose that lies wrapped in `internal_keys`."""

    def __init__(self, key_store: KeyStore) -> None:
        """Protect the keys by a key store; each is unwrapped once in the life of a process."""
        self._key_store = key_store
        self._keys: dict[tuple[str, str], bytes] = {}

    async def digest(
        self,
        transaction: Callable[[], AbstractAsyncContextManager[Tx]],
        tenant: str,
        content: bytes,
        purpose: str = REQUESTS,
    ) -> bytes:
        """Return the digest of some content for a purpose; raise what the key store raises.

        A key that is not known yet is read, or made, in a transaction of its own: what a request does may be
        rolled back, and the key must stay.
        """
        key = self._keys.get((tenant, purpose))
        if key is None:
            async with transaction() as tx:
                wrapped = await self._wrapped(tx, tenant, purpose)
            key = await self._key_store.unwrap(tenant, wrapped, about=purpose)
            self._keys[tenant, purpose] = key
        return hmac.digest(key, content, "sha256")

    async def _wrapped(self, tx: Tx, tenant: str, purpose: str) -> bytes:
        wrapped = await tx.fetchval(_READ, tenant, purpose)
        if wrapped is None:
            new = await self._key_store.wrap(tenant, secrets.token_bytes(KEY_BYTES), about=purpose)
            await tx.execute(_INSERT, tenant, purpose, new)
            wrapped = await tx.fetchval(_READ, tenant, purpose)  # another process may have been faster
        return bytes(wrapped)


_READ: Final = "select wrapped from internal_keys where tenant = $1 and purpose = $2"

_INSERT: Final = """
insert into internal_keys (tenant, purpose, wrapped) values ($1, $2, $3) on conflict do nothing
"""
