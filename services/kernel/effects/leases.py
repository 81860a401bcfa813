"""Leases on pending effects: short, renewed while the worker is alive."""

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Final, TypeAlias
from uuid import UUID

import asyncpg

from services.kernel.ids import new_id
from services.kernel.limits import Limits
from services.kernel.logging import log
from services.kernel.postgres.connections import Pool, is_transient

EffectKey: TypeAlias = tuple[str, UUID]
"""Identity of an effect: its municipality and its key."""

_RETRY_SECONDS: Final = 1.0
_TIMEOUT_SECONDS: Final = 5.0
"""A renewal that was lost on the way is repeated before the lease has run out."""


class Leases:
    """The leases that one worker of a service holds.

    A lease is short: the effects of a worker that died are soon claimed by another. Each carries its worker's
    id. A lease that has expired is claimed at once by the same worker, which knows whether it began, and by
    another only if that one has found the database healthy for as long as a lease lasts: while the database
    was away no worker could renew, and none had died.
    """

    def __init__(self, pool: Pool, name: str, limits: Limits) -> None:
        """Hold no lease yet."""
        self._pool = pool
        self._name = name
        self._duration = timedelta(seconds=limits.lease_seconds)
        self._renew_seconds = limits.lease_renew_seconds
        self._worker = new_id()
        self._until: dict[EffectKey, float] = {}
        self._healthy_since: float | None = None

    async def claim(self, most: int) -> Sequence[asyncpg.Record]:
        """Claim some of the effects that are due."""
        claimed_at = time.monotonic()
        lasting = self._duration.total_seconds()
        healthy = self._healthy_since is not None and claimed_at - self._healthy_since >= lasting
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            rows = await self._pool.fetch(_CLAIM, most, self._duration, self._worker, healthy)
        if self._healthy_since is None:
            self._healthy_since = claimed_at
        self._hold([key_of(row) for row in rows], claimed_at)
        return rows

    def is_held(self, key: EffectKey) -> bool:
        """Return whether this worker still holds an effect: none is begun under a lease that has expired."""
        return time.monotonic() <= self._until.get(key, 0)

    def forget(self, key: EffectKey) -> None:
        """Stop to renew the lease of an effect that is done, or was not begun."""
        self._until.pop(key, None)

    async def release(self, key: EffectKey, pause: timedelta) -> None:
        """Give an effect back, for any worker to claim after a pause."""
        self.forget(key)
        await self._pool.execute(_RELEASE, *key, pause, self._worker)

    def mark_unhealthy(self) -> None:
        """Record that the database has just failed."""
        self._healthy_since = None

    @asynccontextmanager
    async def renewed(self) -> AsyncIterator[None]:
        """Renew all leases while the block runs."""
        over = asyncio.Event()
        renewing = asyncio.create_task(self._renew(over))
        try:
            yield
        finally:
            over.set()
            await asyncio.gather(renewing, return_exceptions=True)
        await renewing

    async def _renew(self, over: asyncio.Event) -> None:
        """Renew until `over` is set; it is not cancelled, since each of its statements has a timeout."""
        pause = self._renew_seconds
        while not await _is_set_within(over, pause):
            pause, renewed_at = self._renew_seconds, time.monotonic()
            try:
                async with asyncio.timeout(_TIMEOUT_SECONDS):
                    tenants, keys = [held[0] for held in self._until], [held[1] for held in self._until]
                    rows = await self._pool.fetch(_RENEW, tenants, keys, self._duration, self._worker)
            except Exception as fault:
                if not is_transient(fault):
                    raise
                self.mark_unhealthy()
                log.warning("lease_not_renewed", service=self._name, kind=type(fault).__name__)
                pause = _RETRY_SECONDS
            else:
                self._hold({key_of(row) for row in rows} & self._until.keys(), renewed_at)

    def _hold(self, keys: Collection[EffectKey], claimed_at: float) -> None:
        """Record until when leases last that were claimed or renewed at a time."""
        self._until.update(dict.fromkeys(keys, claimed_at + self._duration.total_seconds()))


def key_of(row: asyncpg.Record) -> EffectKey:
    """Return the identity of an effect from its row."""
    return row["tenant"], row["key"]


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event, at most so many seconds; return whether it is set."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()


_CLAIM: Final = """
update effects set attempts = attempts + 1, due_at = now() + $2, worker = $3
where (tenant, key) in (
  select tenant, key from effects
  where done_at is null and due_at <= now() and (worker is null or worker = $3 or $4)
  order by due_at limit $1
  for update skip locked
)
returning tenant, key, stream_id, kind, about, attempts
"""

_RENEW: Final = """
update effects set due_at = now() + $3
from unnest($1::text[], $2::uuid[]) as held (tenant, key)
where effects.tenant = held.tenant and effects.key = held.key and worker = $4 and done_at is null
returning effects.tenant, effects.key
"""

_RELEASE: Final = """
update effects set due_at = now() + $3, worker = null
where tenant = $1 and key = $2 and worker = $4 and done_at is null
"""
