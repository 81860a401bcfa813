"""Rotation of data keys: new keys for persons, everything encrypted anew under them, the old keys deleted.

A service goes on meanwhile. A new key and the retirement of the old one are one transaction; what is saved
after it is encrypted under the new key, since the save statement refuses a retired one. When every
transaction that began before has ended, nothing more can be written under the old key, so what is left under
it is encrypted anew, in small batches. Then the old key is deleted. Readers get a ciphertext and its key of
one moment. Each step may be interrupted: the next rotation finishes what it finds.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from services.kernel.errors import ProblemError
from services.kernel.ids import PersonKey
from services.kernel.postgres.connections import Tx
from services.kernel.privacy.encryption import SEALED_COLUMNS, DecryptionFailed, Keyring, encrypt
from services.kernel.privacy.key_store import KEY_BYTES, KeyStore

PERSONS: Final = 100
"""How many persons get new keys at once."""
VALUES: Final = 200
"""How many values are encrypted anew in one transaction."""
LONGEST_WAIT: Final = timedelta(seconds=60)
_LOOK: Final = timedelta(seconds=0.05)


class RotationUnderWay(ProblemError):
    """Another rotation of this service's keys is under way: wait until it has ended."""


class OldTransactionOpen(ProblemError):
    """A transaction is open that began before the rotation: end it, then run this again."""


class Rotated(Struct):
    """What a rotation has done: persons with a new key, values encrypted anew, old keys deleted."""

    persons: int = 0
    values: int = 0
    deleted: int = 0


class KeyRotation:
    """Rotates the data keys of one service, over a connection of its own."""

    def __init__(
        self, tx: Tx, service: str, key_store: KeyStore, longest_wait: timedelta = LONGEST_WAIT
    ) -> None:
        """Rotate what the key store of this service wraps; wait so long for transactions of others."""
        self._tx = tx
        self._service = service
        self._key_store = key_store
        self._keyring = Keyring(service, key_store)
        self._longest_wait = longest_wait
        self._failed: DecryptionFailed | None = None
        self.done = Rotated()

    async def rotate(self, person: PersonKey | None, older_than: timedelta) -> Rotated:
        """Rotate the keys of one person, or all that are older; first what an interrupted rotation left.

        Raises `RotationUnderWay` and `OldTransactionOpen`, and where a value was tampered with
        `DecryptionFailed`: it stays as it is, with its key, and all others are rotated before.
        """
        async with self._alone():
            now = await self._tx.fetchval("select now()")
            async for persons in self._persons(_UNFINISHED, now):
                await self._finish(persons)
            if person is not None:
                await self._renew([person])
                await self._finish([person])
            else:
                async for persons in self._persons(_OLDER, now - older_than):
                    await self._renew(persons)
                    await self._finish(persons)
        if self._failed is not None:
            raise self._failed
        return self.done

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Hold the lock of rotations in this schema, which ends with the session at the latest."""
        if not await self._tx.fetchval(_LOCK):
            raise RotationUnderWay(self._service)
        try:
            yield
        finally:
            await self._tx.execute(_UNLOCK)

    async def _persons(self, query: str, until: datetime) -> AsyncIterator[list[PersonKey]]:
        """Yield the persons of a query in their order, so many at once."""
        last: PersonKey = ("", UUID(int=0))
        while rows := await self._tx.fetch(query, *last, PERSONS, until):
            persons = [(row["tenant"], row["subject_id"]) for row in rows]
            yield persons
            last = persons[-1]

    async def _renew(self, persons: Sequence[PersonKey]) -> None:
        """Give persons new keys, and retire their old ones; an erased person gets none."""
        wrapped = [
            await self._key_store.wrap(tenant, AESGCM.generate_key(KEY_BYTES * 8), about=str(subject))
            for tenant, subject in persons
        ]
        columns = [tenant for tenant, _ in persons], [subject for _, subject in persons]
        async with self._tx.transaction():
            retired = await self._tx.fetch(_RETIRE, *columns)
            numbers = {(row["tenant"], row["subject_id"]): row["number"] for row in retired}
            new = [
                (*person, numbers[person] + 1, key)
                for person, key in zip(persons, wrapped, strict=True)
                if person in numbers
            ]
            if new:
                await self._tx.execute(_INSERT, *map(list, zip(*new, strict=True)))
        for person in persons:
            self._keyring.forget(person)
        self.done.persons += len(new)

    async def _finish(self, persons: Sequence[PersonKey]) -> None:
        """Encrypt anew what is left under retired keys, and delete these."""
        await self._wait_for_earlier_transactions()
        for person in persons:
            try:
                while rows := await self._tx.fetch(_LEFT, *person, VALUES):
                    if not await self._encrypt_anew(person, rows):  # others are writing all of them
                        await asyncio.sleep(_LOOK.total_seconds())
            except DecryptionFailed as fault:
                self._failed = fault
            else:
                self.done.deleted += await self._tx.fetchval(_DELETE, *person)

    async def _wait_for_earlier_transactions(self) -> None:
        """Wait until no transaction is open that may not have seen that keys were retired."""
        since = await self._tx.fetchval("select clock_timestamp()")
        for _ in range(int(self._longest_wait / _LOOK)):
            if await self._tx.fetchval(_NONE_BEFORE, since):
                return
            await asyncio.sleep(_LOOK.total_seconds())
        raise OldTransactionOpen(self._service)

    async def _encrypt_anew(self, person: PersonKey, rows: Sequence[Any]) -> int:
        """Encrypt values under the present key, and return how many; those that others write are left.

        Raises `DecryptionFailed`, with none of them changed.
        """
        current = (await self._keyring.fetch(self._tx, [person]))[person]
        old = {
            row["wrapped"]: AESGCM(
                await self._key_store.unwrap(person[0], row["wrapped"], about=str(person[1]))
            )
            for row in {row["wrapped"]: row for row in rows}.values()
        }
        new = [
            (
                row["stream_id"],
                row["name"],
                row["ciphertext"],
                encrypt(
                    current.cipher,
                    self._keyring.decrypt(old[row["wrapped"]], row),
                    self._keyring.associated_data_of(row),
                ),
            )
            for row in rows
        ]
        columns = map(list, zip(*new, strict=True))
        replaced: int = await self._tx.fetchval(_REPLACE, *person, current.number, *columns)
        self.done.values += replaced
        return replaced


_LOCK: Final = "select pg_try_advisory_lock(hashtextextended('key rotation of ' || current_schema(), 0))"
_UNLOCK: Final = "select pg_advisory_unlock(hashtextextended('key rotation of ' || current_schema(), 0))"

_UNFINISHED: Final = """
select distinct k.tenant, k.subject_id from data_keys k
join data_keys c on c.tenant = k.tenant and c.subject_id = k.subject_id and c.retired_at is null
where (k.tenant, k.subject_id) > ($1, $2::uuid) and k.retired_at < $4 and c.destroyed_at is null
order by k.tenant, k.subject_id limit $3
"""

_OLDER: Final = """
select tenant, subject_id from data_keys
where (tenant, subject_id) > ($1, $2::uuid) and retired_at is null and destroyed_at is null
  and created_at < $4
order by tenant, subject_id limit $3
"""

_RETIRE: Final = """
update data_keys k set retired_at = clock_timestamp()
from unnest($1::text[], $2::uuid[]) as w (tenant, subject_id)
where k.tenant = w.tenant and k.subject_id = w.subject_id and k.retired_at is null and k.destroyed_at is null
returning k.tenant, k.subject_id, k.number
"""

_INSERT: Final = """
insert into data_keys (tenant, subject_id, number, wrapped)
select * from unnest($1::text[], $2::uuid[], $3::integer[], $4::bytea[])
"""

_NONE_BEFORE: Final = """
select oldest_transaction_seconds() < extract(epoch from clock_timestamp() - $1::timestamptz)
"""

_LEFT: Final = f"""
select {SEALED_COLUMNS}
from sealed s
join data_keys k on k.tenant = s.tenant and k.subject_id = s.subject_id and k.number = s.key_number
left join streams t on t.tenant = s.tenant and t.stream_id = s.stream_id
where s.tenant = $1 and s.subject_id = $2 and k.retired_at is not null
order by s.stream_id, s.name limit $3
"""  # noqa: S608  columns of our own

_REPLACE: Final = """
with locked as (
  select s.stream_id, s.name, w.new from unnest($4::uuid[], $5::text[], $6::bytea[], $7::bytea[])
    as w (stream_id, name, old, new)
  join sealed s on s.tenant = $1 and s.subject_id = $2 and s.stream_id = w.stream_id and s.name = w.name
    and s.ciphertext = w.old
  for update of s skip locked
), replaced as (
  update sealed s set key_number = $3, ciphertext = l.new from locked l
  where s.tenant = $1 and s.subject_id = $2 and s.stream_id = l.stream_id and s.name = l.name
  returning 1
)
select count(*) from replaced
"""

_DELETE: Final = """
with deleted as (
  delete from data_keys k
  where k.tenant = $1 and k.subject_id = $2 and k.retired_at is not null and not exists (
    select from sealed s
    where s.tenant = k.tenant and s.subject_id = k.subject_id and s.key_number = k.number)
  returning 1
)
select count(*) from deleted
"""
