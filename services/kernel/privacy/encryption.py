"""Encryption of private values: AES-256-GCM under a person's data key, bound to stream, version and name."""

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
_AES_256_GCM: Final = b"\x01"
"""Format of a ciphertext; another algorithm gets another byte, beside which this one can still be read."""
_SHORTEST: Final = 1 + _NONCE + 16
_CACHE_SIZE: Final = 10_000
_CONCURRENT_UNWRAPS: Final = 16
"""Limit of concurrent requests to the key store."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


KeyName = tuple[str, UUID, int]
"""Municipality, person and number of a data key."""


class DecryptionFailed(ProblemError):
    """A sealed value was moved or changed: it is not shown."""


class ValueToSeal(Struct, frozen=True, gc=False):
    """Private value of a stream, with the version of the stream that it is written at; ids as text."""

    tenant: str
    stream_id: str
    version: int
    private: PrivateValue


class SealedRow(Struct, frozen=True, gc=False):
    """Row of `sealed`: one encrypted value, with the stream, person and name it is bound to; ids as text."""

    stream_id: str
    subject: str
    name: str
    tenant: str
    ciphertext: bytes
    key_number: int = 1
    key_is_new: bool = False


class DataKey(Struct, frozen=True):
    """Unwrapped data key of a person, with its number."""

    number: int
    cipher: AESGCM


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
        self._cached: OrderedDict[PersonKey, DataKey] = OrderedDict()

    async def fetch(self, tx: Tx, persons: Iterable[PersonKey]) -> dict[PersonKey, DataKey]:
        """Return the keys that encrypt for persons, reading those not yet cached; not those that are missing.

        A cached one may have been retired: what is encrypted under it cannot be saved (`statement.py`).
        """
        cached = self._cached.get
        keys: dict[PersonKey, DataKey] = {}
        missing: list[PersonKey] = []
        for person in persons:
            key = cached(person)
            if key is None:
                missing.append(person)
            else:
                keys[person] = key
        if missing:
            rows = await tx.fetch(_READ_KEYS, *map(list, zip(*missing, strict=True)))
            opened = await self._unwrap_all(
                {(tenant, subject, number): wrapped for tenant, subject, number, wrapped, _ in rows}
            )
            found = {(tenant, subject): key for (tenant, subject, _), key in opened.items()}
            keys.update(found)
            if all(row["committed"] for row in rows):
                self.remember(found)
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

    async def make(self, tenant: str, subject: UUID) -> tuple[DataKey, NewKey]:
        """Return the first key of a person, and the row that must be stored for it."""
        key = AESGCM.generate_key(256)
        wrapped = await self._key_store.wrap(tenant, key, about=str(subject))
        return DataKey(1, AESGCM(key)), NewKey(subject, tenant, wrapped)

    def remember(self, keys: Mapping[PersonKey, DataKey]) -> None:
        """Cache keys whose transaction has committed."""
        self._cached.update(keys)
        while len(self._cached) > _CACHE_SIZE:
            self._cached.popitem(last=False)

    def forget(self, person: PersonKey) -> None:
        """Remove a destroyed or retired key from the cache."""
        self._cached.pop(person, None)

    def seal(self, key: DataKey, value: ValueToSeal, *, key_is_new: bool = False) -> SealedRow:
        """Return a value encrypted for exactly this stream and version, person and name."""
        subject, name = str(value.private.subject), value.private.name
        associated = self._associated_data(value.tenant, subject, name, value.stream_id, value.version)
        ciphertext = encrypt(key.cipher, _encode(value.private.value), associated)
        return SealedRow(
            value.stream_id, subject, name, value.tenant, ciphertext, key.number, key_is_new=key_is_new
        )

    async def open_streams(self, tx: Tx, keys: Sequence[StreamKey]) -> dict[StreamKey, dict[str, Any]]:
        """Return the decrypted private values of streams by name, without those whose key was destroyed.

        Ciphertexts, their versions and their keys are of one moment, so that a rotation may go on beside.
        Raises `DecryptionFailed` where a value is not in the row and version that it was encrypted for.
        """
        rows = await tx.fetch(_READ_SEALED, [tenant for tenant, _ in keys], [stream for _, stream in keys])
        data_keys = await self._keys_of(rows)
        opened: dict[StreamKey, dict[str, Any]] = {}
        for row in rows:
            plain = self.decrypt(data_keys[row["tenant"], row["subject_id"], row["key_number"]], row)
            opened.setdefault((row["tenant"], row["stream_id"]), {})[row["name"]] = _decode(plain)
        return opened

    def decrypt(self, key: AESGCM, row: Mapping[str, Any]) -> bytes:
        """Return what a row of `sealed` holds, as JSON; raise `DecryptionFailed`."""
        try:
            return decrypt(key, row["ciphertext"], self.associated_data_of(row))
        except InvalidTag:
            raise DecryptionFailed(f"{self._service} {row['stream_id']} {row['name']}") from None

    def associated_data_of(self, row: Mapping[str, Any]) -> bytes:
        """Return the associated data of a row of `sealed`, with the version that its stream names."""
        return self._associated_data(
            row["tenant"], str(row["subject_id"]), row["name"], str(row["stream_id"]), row["version"]
        )

    async def _keys_of(self, rows: Sequence[Mapping[str, Any]]) -> dict[KeyName, AESGCM]:
        """Return the keys of encrypted rows, unwrapping those not yet cached."""
        keys: dict[KeyName, AESGCM] = {}
        missing: dict[KeyName, bytes] = {}
        for row in rows:
            person, number = (row["tenant"], row["subject_id"]), row["key_number"]
            cached = self._cached.get(person)
            if cached is not None and cached.number == number:
                keys[*person, number] = cached.cipher
            else:
                missing[*person, number] = row["wrapped"]
        if missing:
            opened = await self._unwrap_all(missing)
            keys.update({name: key.cipher for name, key in opened.items()})
            if all(row["committed"] for row in rows):
                self._remember_newer(opened)
        return keys

    def _remember_newer(self, opened: Mapping[KeyName, DataKey]) -> None:
        for (tenant, subject, number), key in opened.items():
            cached = self._cached.get((tenant, subject))
            if cached is None or cached.number < number:
                self.remember({(tenant, subject): key})

    async def _unwrap_all(self, wrapped: Mapping[KeyName, bytes]) -> dict[KeyName, DataKey]:
        names = list(wrapped)
        opened: dict[KeyName, DataKey] = {}

        async def unwrap(some: Sequence[KeyName]) -> None:
            for name in some:
                tenant, subject, number = name
                key = await self._key_store.unwrap(tenant, wrapped[name], about=str(subject))
                opened[name] = DataKey(number, AESGCM(key))

        shares = [names[first::_CONCURRENT_UNWRAPS] for first in range(_CONCURRENT_UNWRAPS)]
        await asyncio.gather(*map(unwrap, filter(None, shares)))
        return opened

    def _associated_data(
        self, tenant: str, subject: str, name: str, stream_id: str, version: int | None
    ) -> bytes:
        return f"{tenant}|{subject}|{self._service}.sealed|{name}|{stream_id}|{version}".encode()


def encrypt(key: AESGCM, plain: bytes, associated: bytes) -> bytes:
    """Return the ciphertext of a value: a byte that names its format, the nonce, and AES-256-GCM's output."""
    nonce = urandom(_NONCE)
    return _AES_256_GCM + nonce + key.encrypt(nonce, plain, _AES_256_GCM + associated)


def decrypt(key: AESGCM, ciphertext: bytes, associated: bytes) -> bytes:
    """Return the value of a ciphertext; raise `InvalidTag`."""
    if ciphertext[:1] != _AES_256_GCM or len(ciphertext) < _SHORTEST:
        raise InvalidTag
    return key.decrypt(ciphertext[1 : 1 + _NONCE], ciphertext[1 + _NONCE :], _AES_256_GCM + associated)


def seal_name(subject: UUID, name: str) -> str:
    """Return the name of a private value in the `seals` of its stream."""
    return f"{subject} {name}"


# A transaction that has written nothing yet, hence has no id, reads only what others have committed.
_READ_KEYS: Final = """
select w.tenant, w.subject_id, k.number, k.wrapped, pg_current_xact_id_if_assigned() is null as committed
from unnest($1::text[], $2::uuid[]) as w (tenant, subject_id)
cross join lateral (
  select number, wrapped from data_keys
  where tenant = w.tenant and subject_id = w.subject_id and retired_at is null and destroyed_at is null
  order by number desc limit 1  -- else a plan for an empty table reads every key
) as k
"""

_ONE_KEY_EACH: Final = """
select distinct on (tenant) tenant, subject_id, wrapped from data_keys
where destroyed_at is null order by tenant, subject_id limit 20
"""

SEALED_COLUMNS: Final = """
  s.tenant, s.stream_id, s.subject_id, s.name, s.key_number, s.ciphertext, k.wrapped,
  (t.seals ->> (s.subject_id || ' ' || s.name))::bigint as version,
  pg_current_xact_id_if_assigned() is null as committed
"""
"""What `decrypt` needs of a row; the version is null where the stream names no such value.

A transaction that has written nothing yet, hence has no id, reads only what others have committed.
"""

_READ_SEALED: Final = f"""
select {SEALED_COLUMNS}
from unnest($1::text[], $2::uuid[]) as w (tenant, stream_id)
join sealed s on s.tenant = w.tenant and s.stream_id = w.stream_id
join data_keys k on k.tenant = s.tenant and k.subject_id = s.subject_id and k.number = s.key_number
  and k.destroyed_at is null
left join streams t on t.tenant = s.tenant and t.stream_id = s.stream_id
"""  # noqa: S608  columns of our own
