"""Who may do what waits: each worker for a short while, renewed for as long as it is at it."""

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Final
from uuid import UUID

import asyncpg

from services.kernel.ids import new_id
from services.kernel.logging import log
from services.kernel.postgres.connections import Pool, is_transient

_LEASE: Final = timedelta(seconds=10)
_RENEW_SECONDS: Final = 3.0
_AGAIN_SECONDS: Final = 1.0
_PATIENCE_SECONDS: Final = 5.0
"""What the wire has swallowed is asked again before the lease has run out."""


class Leases:
    """The effects that one worker of a service holds.

    A lease is short: what a worker that died had taken is soon taken up by another. Each has its worker's
    name. One that ran out is taken up at once by that worker, who knows whether it began, and by another only
    where it has itself seen the database well for as long as a lease lasts: while that was away nobody could
    renew, and nobody died of it.
    """

    def __init__(self, pool: Pool, name: str) -> None:
        """Hold nothing of a service yet."""
        self._pool = pool
        self._name = name
        self._worker = new_id()
        self._until: dict[UUID, float] = {}
        self._healthy_since: float | None = None

    async def claim(self, most: int) -> Sequence[asyncpg.Record]:
        """Take some of what is due."""
        asked_at = time.monotonic()
        well = self._healthy_since is not None and asked_at - self._healthy_since >= _LEASE.total_seconds()
        async with asyncio.timeout(_PATIENCE_SECONDS):
            rows = await self._pool.fetch(_CLAIM, most, _LEASE, self._worker, well)
        if self._healthy_since is None:
            self._healthy_since = asked_at
        self._hold([row["key"] for row in rows], asked_at)
        return rows

    def is_held(self, key: UUID) -> bool:
        """Return whether this worker still holds an effect: nobody begins on a lease that has run out."""
        return time.monotonic() <= self._until.get(key, 0)

    def forget(self, key: UUID) -> None:
        """Renew no longer: it is done, or was not begun."""
        self._until.pop(key, None)

    async def release(self, key: UUID, pause: timedelta) -> None:
        """Let whoever comes first take it after a while."""
        self.forget(key)
        await self._pool.execute(_RELEASE, key, pause, self._worker)

    def mark_unhealthy(self) -> None:
        """Note that the database was not well just now."""
        self._healthy_since = None

    @asynccontextmanager
    async def renewed(self) -> AsyncIterator[None]:
        """Hold on to what is held while the block runs."""
        over = asyncio.Event()
        renewing = asyncio.create_task(self._renew(over))
        try:
            yield
        finally:
            over.set()
            await asyncio.gather(renewing, return_exceptions=True)
        await renewing

    async def _renew(self, over: asyncio.Event) -> None:
        """Renew until it is over. It is not cancelled: each of its statements has an end of its own."""
        pause = _RENEW_SECONDS
        while not await _comes(over, pause):
            pause, asked_at = _RENEW_SECONDS, time.monotonic()
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    rows = await self._pool.fetch(_RENEW, list(self._until), _LEASE, self._worker)
            except Exception as fault:
                if not is_transient(fault):
                    raise
                self.mark_unhealthy()
                log.warning("lease_not_renewed", service=self._name, kind=type(fault).__name__)
                pause = _AGAIN_SECONDS
            else:
                self._hold({row["key"] for row in rows} & self._until.keys(), asked_at)

    def _hold(self, keys: Collection[UUID], claimed_at: float) -> None:
        """Note until when leases last that were asked for at a time."""
        self._until.update(dict.fromkeys(keys, claimed_at + _LEASE.total_seconds()))


async def _comes(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event, at most a while; return whether it came."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()


_CLAIM: Final = """
update effects set attempts = attempts + 1, due_at = now() + $2, worker = $3
where key in (
  select key from effects
  where done_at is null and due_at <= now() and (worker is null or worker = $3 or $4)
  order by due_at limit $1
  for update skip locked
)
returning key, stream_id, tenant, kind, about, attempts
"""

_RENEW: Final = """
update effects set due_at = now() + $2
where key = any($1::uuid[]) and worker = $3 and done_at is null
returning key
"""

_RELEASE: Final = """
update effects set due_at = now() + $2, worker = null where key = $1 and worker = $3 and done_at is null
"""
