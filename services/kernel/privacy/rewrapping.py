"""Rewrapping: wrap the stored keys of a service under the newest version of the key store's keys.

The keys themselves stay, so that nothing is encrypted anew and no cache is out of date. The `rewrap` of a
transit engine knows no associated data, so each key is unwrapped and wrapped again.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from services.kernel.postgres.connections import Tx
from services.kernel.privacy.key_store import KeyStore

KEYS: Final = 200
"""How many keys are rewrapped in one statement."""
_CONCURRENT: Final = 16


class Rewrapping:
    """Rewraps the keys of persons, and a municipality's own ones, of one service."""

    def __init__(self, tx: Tx, key_store: KeyStore) -> None:
        """Rewrap by the key store of this service."""
        self._tx = tx
        self._key_store = key_store
        self._newest: dict[str, bytes] = {}

    async def rewrap(self) -> int:
        """Rewrap what is not under the newest version yet, and return how much; may be repeated."""
        return await self._all(_DATA_KEYS, _REPLACE_DATA_KEY, ("", UUID(int=0), 0)) + await self._all(
            _INTERNAL_KEYS, _REPLACE_INTERNAL_KEY, ("", "")
        )

    async def _all(self, query: str, replace: str, after: tuple[Any, ...]) -> int:
        count = 0
        while rows := await self._tx.fetch(query, *after, KEYS):
            after = tuple(rows[-1])[:-1]
            old = [row for row in rows if await self._is_old(row["tenant"], row["wrapped"])]
            new: list[bytes] = []
            for first in range(0, len(old), _CONCURRENT):
                new += await asyncio.gather(*map(self._wrapped_anew, old[first : first + _CONCURRENT]))
            if old:
                columns = zip(*(tuple(row) for row in old), strict=True)
                count += await self._tx.fetchval(replace, *map(list, columns), new)
        return count

    async def _is_old(self, tenant: str, wrapped: bytes) -> bool:
        if tenant not in self._newest:
            self._newest[tenant] = await self._key_store.newest_version(tenant)
        return self._key_store.version_of(wrapped) != self._newest[tenant]

    async def _wrapped_anew(self, row: Sequence[Any]) -> bytes:
        tenant, about, wrapped = row[0], str(row[1]), row[-1]
        key = await self._key_store.unwrap(tenant, wrapped, about=about)
        return await self._key_store.wrap(tenant, key, about=about)


_DATA_KEYS: Final = """
select tenant, subject_id, number, wrapped from data_keys
where (tenant, subject_id, number) > ($1, $2::uuid, $3::integer) and destroyed_at is null
order by tenant, subject_id, number limit $4
"""

_INTERNAL_KEYS: Final = """
select tenant, purpose, wrapped from internal_keys
where (tenant, purpose) > ($1, $2) order by tenant, purpose limit $3
"""

_REPLACE_DATA_KEY: Final = """
with replaced as (
  update data_keys k set wrapped = w.new
  from unnest($1::text[], $2::uuid[], $3::integer[], $4::bytea[], $5::bytea[])
    as w (tenant, subject_id, number, old, new)
  where k.tenant = w.tenant and k.subject_id = w.subject_id and k.number = w.number and k.wrapped = w.old
  returning 1
)
select count(*) from replaced
"""

_REPLACE_INTERNAL_KEY: Final = """
with replaced as (
  update internal_keys k set wrapped = w.new
  from unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[]) as w (tenant, purpose, old, new)
  where k.tenant = w.tenant and k.purpose = w.purpose and k.wrapped = w.old
  returning 1
)
select count(*) from replaced
"""
