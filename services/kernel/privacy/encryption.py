"""Private values lie sealed with AES-256-GCM under a key per person, bound to the place they lie in."""

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
from services.kernel.postgres.connections import Tx
from services.kernel.privacy.key_store import KeyStore, KeyStoreMismatch, KeyStoreUnavailable

_NONCE: Final = 12
_CACHE_SIZE: Final = 10_000
_CONCURRENT_UNWRAPS: Final = 16
"""How many keys are asked of the key store at once."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class DecryptionFailed(ProblemError):
    """A sealed value was moved or changed: it is not shown."""


class SealedRow(Struct, frozen=True, gc=False):
    """One sealed value and the place it belongs to; ids as they are spelt."""

    stream_id: str
    subject: str
    name: str
    tenant: str
    ciphertext: bytes


class NewKey(Struct, frozen=True):
    """A data key that must be stored by the transaction that first uses it."""

    subject: UUID
    tenant: str
    wrapped: bytes


class Keyring:
    """Data keys of persons, opened; a key counts as known only once its transaction has committed."""

    def __init__(self, service: str, key_store: KeyStore) -> None:
        """Seal for one service with keys that the key store guards."""
        self._service = service
        self._kms = key_store
        self._cached: OrderedDict[UUID, AESGCM] = OrderedDict()

    async def fetch(self, tx: Tx, subjects: Iterable[UUID]) -> dict[UUID, AESGCM]:
        """Return the keys that exist, reading those not yet known."""
        known = self._cached.get
        keys: dict[UUID, AESGCM] = {}
        unknown: list[UUID] = []
        for subject in subjects:
            key = known(subject)
            if key is None:
                unknown.append(subject)
            else:
                keys[subject] = key
        if unknown:
            rows = await tx.fetch(_READ_KEYS, unknown)
            opened: dict[UUID, AESGCM] = {}
            await asyncio.gather(
                *(
                    self._unwrap(rows[lane::_CONCURRENT_UNWRAPS], opened)
                    for lane in range(_CONCURRENT_UNWRAPS)
                )
            )
            keys.update(opened)
            if not tx.is_in_transaction():  # else what was read may never be committed
                self.remember(opened)
        return keys

    async def verify_key_store(self, tx: Tx) -> None:
        """Open one of the keys that lie here; raise `KeyStoreBroken` where another key store wrapped them.

        Whoever went on would wrap further keys by a store that opens none of the others. Of each municipality
        one is tried, until one opens: the store may have let go of a municipality for good.
        """
        broken = None
        for subject, tenant, wrapped in await tx.fetch(_ONE_KEY_EACH):
            try:
                await self._kms.unwrap(tenant, wrapped, about=str(subject))
            except KeyStoreMismatch as fault:
                broken = fault
            except KeyStoreUnavailable:  # it is asked again when a key is needed
                return
            else:
                return
        if broken is not None:
            raise broken

    async def make(self, tenant: str, subject: UUID) -> tuple[AESGCM, NewKey]:
        """Return a fresh key, and what must be stored for it."""
        key = AESGCM.generate_key(256)
        wrapped = await self._kms.wrap(tenant, key, about=str(subject))
        return AESGCM(key), NewKey(subject, tenant, wrapped)

    def remember(self, keys: Mapping[UUID, AESGCM]) -> None:
        """Remember keys whose transaction has committed."""
        self._cached.update(keys)
        while len(self._cached) > _CACHE_SIZE:
            self._cached.popitem(last=False)

    def forget(self, subject: UUID) -> None:
        """Drop a key that was destroyed."""
        self._cached.pop(subject, None)

    def seal(self, key: AESGCM, tenant: str, stream_id: str, seal: PrivateValue) -> SealedRow:
        """Return the value sealed for exactly this place; `stream_id` as it is spelt."""
        nonce, subject = urandom(_NONCE), str(seal.subject)
        place = self._associated_data(tenant, subject, seal.name, stream_id)
        box = nonce + key.encrypt(nonce, _encode(seal.value), place)
        return SealedRow(stream_id, subject, seal.name, tenant, box)

    async def open_streams(self, tx: Tx, ids: Sequence[UUID]) -> dict[UUID, dict[str, Any]]:
        """Return the private values of streams by name; values whose key was destroyed are left out.

        Raises `SealBroken` where a value does not lie in the place that it was sealed for.
        """
        rows = await tx.fetch(_READ_SEALED, list(ids))
        keys = await self.fetch(tx, {row["subject_id"] for row in rows})
        opened: dict[UUID, dict[str, Any]] = {}
        for row in rows:
            key = keys.get(row["subject_id"])
            if key is None:
                continue
            place = self._associated_data(
                row["tenant"], str(row["subject_id"]), row["name"], str(row["stream_id"])
            )
            try:
                value = _decode(key.decrypt(row["ciphertext"][:_NONCE], row["ciphertext"][_NONCE:], place))
            except InvalidTag:
                raise DecryptionFailed(f"{self._service} {row['stream_id']} {row['name']}") from None
            opened.setdefault(row["stream_id"], {})[row["name"]] = value
        return opened

    async def _unwrap(self, rows: Sequence[Sequence[Any]], opened: dict[UUID, AESGCM]) -> None:
        for subject, tenant, wrapped in rows:
            opened[subject] = AESGCM(await self._kms.unwrap(tenant, wrapped, about=str(subject)))

    def _associated_data(self, tenant: str, subject: str, name: str, stream_id: str) -> bytes:
        return f"{tenant}|{subject}|{self._service}.sealed|{name}|{stream_id}".encode()


_READ_KEYS = """
select k.subject_id, k.tenant, k.wrapped
from unnest($1::uuid[]) as w (subject_id) join data_keys k on k.subject_id = w.subject_id
where k.destroyed_at is null
"""

_ONE_KEY_EACH: Final = """
select distinct on (tenant) subject_id, tenant, wrapped from data_keys
where destroyed_at is null order by tenant, subject_id limit 20
"""

_READ_SEALED = """
select s.stream_id, s.subject_id, s.name, s.tenant, s.ciphertext
from unnest($1::uuid[]) as w (stream_id)
join sealed s on s.stream_id = w.stream_id
join data_keys k on k.subject_id = s.subject_id and k.destroyed_at is null
"""
