"""Timers: a durable table of due times, each claimed by one process and applied to its stream as an input."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Final

import asyncpg

from services.kernel import metrics
from services.kernel.clock import Clock
from services.kernel.crash_points import crash_point
from services.kernel.decider.decision import Actor, TimerFired
from services.kernel.errors import NotFound, Refused
from services.kernel.ids import new_id
from services.kernel.logging import log
from services.kernel.postgres.connections import Pool, Tx, is_transient
from services.kernel.streams.envelopes import Envelope
from services.kernel.streams.processor import BatchProcessor

_BATCH: Final = 200
_POLL_SECONDS: Final = 1.0
_POSTPONED: Final = timedelta(hours=1)
_ORDER: Final = itemgetter("due_at", "tenant", "stream_id", "kind", "ref")


class Timers:
    """Fires due timers, each once: the input is applied in the transaction that deletes the timer."""

    def __init__(self, processor: BatchProcessor, pool: Pool, clock: Clock) -> None:
        """Fire by a clock."""
        self._processor = processor
        self._pool = pool
        self._clock = clock
        self._name = processor.service.name

    async def run(self, stopping: asyncio.Event) -> None:
        """Poll for due timers until stopped; a failure is followed by a longer pause."""
        pause = _POLL_SECONDS
        while not stopping.is_set():
            try:
                fired = await self.fire()
                pause = 0.0 if fired == _BATCH else _POLL_SECONDS
            except Exception as fault:
                if not is_transient(fault):
                    raise
                log.warning("timers_failed", service=self._name, kind=type(fault).__name__)
                pause = min(max(pause * 2, _POLL_SECONDS), 10.0)
            await _wait(stopping, pause)

    async def fire(self) -> int:
        """Fire some of the timers that are due; return how many there were."""
        now = self._clock.now()
        async with self._pool.acquire() as tx:
            if not await tx.fetchval("select exists (select from timers where due_at <= $1)", now):
                return 0
            try:
                async with tx.transaction():
                    rows = await _claim(tx, now, _BATCH)
                    outcome = await self._processor.process_once(tx, _in_order(rows, now)) if rows else None
                    crash_point("fire.before")
            except asyncpg.SerializationError:
                await self._processor.pause_before_retry(1)
                return _BATCH
            except Exception as fault:
                if is_transient(fault):
                    raise
                # One timer's rule refused or failed: fire each alone, so that the others are not held back.
                return await self._fire_one(tx, now)
            crash_point("fire.after")
            if outcome is not None:
                self._processor.publish_committed(outcome)
            metrics.TIMERS_FIRED.labels(self._name).inc(len(rows))
            return len(rows)

    async def _fire_one(self, tx: Tx, now: datetime) -> int:
        fired = 0
        for _ in range(_BATCH):
            outcome = None
            async with tx.transaction():
                rows = await _claim(tx, now, 1)
                if not rows:
                    break
                try:
                    async with tx.transaction():
                        outcome = await self._processor.process_once(tx, [_envelope(rows[0], now)])
                except (Refused, NotFound) as refusal:
                    metrics.REFUSED.labels(self._name, refusal.code()).inc()
                except Exception as bug:
                    if is_transient(bug):
                        raise
                    metrics.BUGS.labels(self._name, type(bug).__name__).inc()
                    log.error("timer_postponed", service=self._name, kind=type(bug).__name__)
                    await tx.execute(_POSTPONE, *rows[0].values(), now + _POSTPONED)
            if outcome is not None:
                self._processor.publish_committed(outcome)
            fired += 1
        metrics.TIMERS_FIRED.labels(self._name).inc(fired)
        return fired

    async def next_due(self) -> datetime | None:
        """Return when the next timer falls due."""
        found: datetime | None = await self._pool.fetchval("select min(due_at) from timers")
        return found

    async def overdue(self) -> int:
        """Return how many timers are overdue."""
        found: int = await self._pool.fetchval(
            "select count(*) from timers where due_at <= $1", self._clock.now()
        )
        return found


async def _claim(tx: Tx, now: datetime, most: int) -> Sequence[asyncpg.Record]:
    """Delete timers that are due; those of one stream go together and in order, to one worker."""
    locked = await tx.fetch(_LOCK_STREAMS, now, most)
    if not locked:
        return ()
    tenants, ids = [row["tenant"] for row in locked], [row["stream_id"] for row in locked]
    return await tx.fetch(_CLAIM, tenants, ids, now, most)


async def _wait(stopping: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        pass


def _in_order(rows: Sequence[asyncpg.Record], now: datetime) -> list[Envelope]:
    return [_envelope(row, now) for row in sorted(rows, key=_ORDER)]


def _envelope(row: asyncpg.Record, now: datetime) -> Envelope:
    cause = str(new_id())
    fired = TimerFired(row["kind"], row["ref"], row["due_at"])
    return Envelope(row["stream_id"], row["tenant"], fired, Actor(tenant=row["tenant"]), now, cause, cause)


# Streams are locked first, as in every writer: none waits for a timer while another waits for its stream.
_LOCK_STREAMS: Final = """
select tenant, stream_id from streams
where (tenant, stream_id) in (
  select tenant, stream_id from timers where due_at <= $1 order by due_at, tenant, stream_id limit $2
)
order by tenant, stream_id for no key update skip locked
"""

_CLAIM: Final = """
delete from timers using (
  select t.tenant, t.stream_id, t.kind, t.ref
  from unnest($1::text[], $2::uuid[]) as l (tenant, stream_id)
  join timers t on t.tenant = l.tenant and t.stream_id = l.stream_id
  where t.due_at <= $3
  order by t.due_at, t.tenant, t.stream_id, t.kind, t.ref limit $4
) as due
where timers.tenant = due.tenant and timers.stream_id = due.stream_id
  and timers.kind = due.kind and timers.ref = due.ref
returning timers.tenant, timers.stream_id, timers.kind, timers.ref, timers.due_at
"""

_POSTPONE: Final = """
insert into timers (tenant, stream_id, kind, ref, due_at)
select $1, $2, $3, $4, greatest($5::timestamptz, $6::timestamptz) on conflict do nothing
"""
