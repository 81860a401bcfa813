"""Encryption of private values: AES-256-GCM under a data key per person, bound to stream and name."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from os import urandom
from typing import Any, Final
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from services.kernel.decider.decision import PrivateValue
from services.kernel.errors import ProblemError
from services.kernel.ids import PersonKey, StreamKey
from services.kernel.postgres.connections import Tx
from services.kernel.privacy.key_store import KeyStore, KeyStoreMismatch, KeyStoreUnavailable

_NONCE: Final = 12
_CACHE_SIZE: Final = 10_000
_CONCURRENT_UNWRAPS: Final = 16
"""Limit of concurrent requests to the key store."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class DecryptionFailed(ProblemError):
    """A sealed value was moved or changed: it is not shown."""


class SealedRow(Struct, frozen=True, gc=False):
    """Row of `sealed`: one encrypted value, with the stream, person and name it is bound to; ids as text."""

    stream_id: str
    subject: str
    name: str
    tenant: str
    ciphertext: bytes


class NewKey(Struct, frozen=True):
    """New data key, to be stored by the transaction that first uses it."""

    subject: UUID
    tenant: str
    wrapped: bytes


class Keyring:
    """Keyring: unwrapped data keys of persons; a key is cached only once its transaction has committed."""

    def __init__(self, service: str, key_store: KeyStore) -> None:
        """Encrypt for one service, with data keys that the key store wraps."""
        self._service = service
        self._key_store = key_store
        self._cached: OrderedDict[PersonKey, AESGCM] = OrderedDict()

    async def fetch(self, tx: Tx, persons: Iterable[PersonKey]) -> dict[PersonKey, AESGCM]:
        """Return the keys that exist, reading those not yet cached."""
        cached = self._cached.get
        keys: dict[PersonKey, AESGCM] = {}
        missing: list[PersonKey] = []
        for person in persons:
            key = cached(person)
            if key is None:
                missing.append(person)
            else:
                keys[person] = key
        if missing:
            wrapped = await tx.fetch(_READ_KEYS, *map(list, zip(*missing, strict=True)))
            opened: dict[PersonKey, AESGCM] = {}
            committed = all(row["committed"] for row in wrapped)
            await asyncio.gather(
                *(
                    self._unwrap(wrapped[first::_CONCURRENT_UNWRAPS], opened)
                    for first in range(_CONCURRENT_UNWRAPS)
                )
            )
            keys.update(opened)
            if committed:
                self.remember(opened)
        return keys

    async def verify_key_store(self, tx: Tx) -> None:
        """Unwrap one of the stored keys; raise `KeyStoreMismatch` where another key store wrapped them.

        Otherwise further keys would be wrapped by a store that opens none of the others. One key of each
        municipality is tried, until one opens: the store may have deleted a municipality's key for good.
        """
        broken = None
        for tenant, subject, wrapped in await tx.fetch(_ONE_KEY_EACH):
            try:
                await self._key_store.unwrap(tenant, wrapped, about=str(subject))
            except KeyStoreMismatch as fault:
                broken = fault
            except KeyStoreUnavailable:  # tried again when a key is needed
                return
            else:
                return
        if broken is not None:
            raise broken

    async def make(self, tenant: str, subject: UUID) -> tuple[AESGCM, NewKey]:
        """Return a new key, and the row that must be stored for it."""
        key = AESGCM.generate_key(256)
        wrapped = await self._key_store.wrap(tenant, key, about=str(subject))
        return AESGCM(key), NewKey(subject, tenant, wrapped)

    def remember(self, keys: Mapping[PersonKey, AESGCM]) -> None:
        """Cache keys whose transaction has committed."""
        self._cached.update(keys)
        while len(self._cached) > _CACHE_SIZE:
            self._cached.popitem(last=False)

    def forget(self, person: PersonKey) -> None:
        """Remove a destroyed key from the cache."""
        self._cached.pop(person, None)

    def seal(self, key: AESGCM, tenant: str, stream_id: str, private: PrivateValue) -> SealedRow:
        """Return a value encrypted for exactly this stream, person and name; `stream_id` as text."""
        nonce, subject = urandom(_NONCE), str(private.subject)
        associated = self._associated_data(tenant, subject, private.name, stream_id)
        ciphertext = nonce + key.encrypt(nonce, _encode(private.value), associated)
        return SealedRow(stream_id, subject, private.name, tenant, ciphertext)

    async def open_streams(self, tx: Tx, keys: Sequence[StreamKey]) -> dict[StreamKey, dict[str, Any]]:
        """Return the decrypted private values of streams by name, without those whose key was destroyed.

        Raises `DecryptionFailed` where a value is not in the row that it was encrypted for.
        """
        tenants, ids = [tenant for tenant, _ in keys], [stream_id for _, stream_id in keys]
        rows = await tx.fetch(_READ_SEALED, tenants, ids)
        data_keys = await self.fetch(tx, {(row["tenant"], row["subject_id"]) for row in rows})
        opened: dict[StreamKey, dict[str, Any]] = {}
        for row in rows:
            tenant, subject, name, stream_id = row["tenant"], row["subject_id"], row["name"], row["stream_id"]
            key = data_keys.get((tenant, subject))
            if key is None:
                continue
            associated = self._associated_data(tenant, str(subject), name, str(stream_id))
            try:
                value = _decode(
                    key.decrypt(row["ciphertext"][:_NONCE], row["ciphertext"][_NONCE:], associated)
                )
            except InvalidTag:
                raise DecryptionFailed(f"{self._service} {stream_id} {name}") from None
            opened.setdefault((tenant, stream_id), {})[name] = value
        return opened

    async def _unwrap(self, rows: Sequence[Sequence[Any]], opened: dict[PersonKey, AESGCM]) -> None:
        for tenant, subject, wrapped, _ in rows:
            key = await self._key_store.unwrap(tenant, wrapped, about=str(subject))
            opened[tenant, subject] = AESGCM(key)

    def _associated_data(self, tenant: str, subject: str, name: str, stream_id: str) -> bytes:
        return f"{tenant}|{subject}|{self._service}.sealed|{name}|{stream_id}".encode()


# A transaction that has written nothing yet, hence has no id, reads only what others have committed.
_READ_KEYS = """
select k.tenant, k.subject_id, k.wrapped, pg_current_xact_id_if_assigned() is null as committed
from unnest($1::text[], $2::uuid[]) as w (tenant, subject_id)
join data_keys k on k.tenant = w.tenant and k.subject_id = w.subject_id
where k.destroyed_at is null
"""

_ONE_KEY_EACH: Final = """
select distinct on (tenant) tenant, subject_id, wrapped from data_keys
where destroyed_at is null order by tenant, subject_id limit 20
"""

_READ_SEALED = """
select s.tenant, s.stream_id, s.subject_id, s.name, s.ciphertext
from unnest($1::text[], $2::uuid[]) as w (tenant, stream_id)
join sealed s on s.tenant = w.tenant and s.stream_id = w.stream_id
join data_keys k on k.tenant = s.tenant and k.subject_id = s.subject_id and k.destroyed_at is null
"""
