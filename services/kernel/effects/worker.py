"""Effect worker: perform side effects after the commit, at least once, always under the same key."""

import asyncio
import contextlib
from datetime import timedelta
from typing import Final

import asyncpg
import msgspec

from services.kernel import metrics
from services.kernel.clock import Clock
from services.kernel.crash_points import crash_point
from services.kernel.decider.decision import Effect
from services.kernel.effects.completion import Completion
from services.kernel.effects.context import EffectReader
from services.kernel.effects.leases import Leases, key_of
from services.kernel.logging import log
from services.kernel.postgres.connections import Pool, is_transient
from services.kernel.settings import Settings
from services.kernel.streams.processor import BatchProcessor

_BATCH: Final = 20
_POLL_SECONDS: Final = 1.0
_LONGEST: Final = timedelta(hours=6)
_TIMEOUT_SECONDS: Final = 30.0


class EffectWorker:
    """Performs the effects of one service.

    A lease keeps two workers from performing the same effect at once. None is begun under a lease that has
    expired, and one that was performed is remembered, under its lease, until it is completed: only a worker
    that dies, or is cut off for longer than a lease, leaves an effect for another to repeat.
    """

    def __init__(self, processor: BatchProcessor, pool: Pool, clock: Clock, settings: Settings) -> None:
        """Perform with the service's effect handlers."""
        self._pool = pool
        self._handlers = processor.service.effect_handlers
        self._name = processor.service.name
        self._leases = Leases(pool, self._name, settings.limits)
        self._completion = Completion(processor, pool, clock, self._leases)
        self._processor = processor
        self._settings = settings
        self._wakeup = asyncio.Event()
        if self._handlers:
            self._polled = metrics.EFFECTS_POLLED.labels(self._name)
            self._polled.set_to_current_time()

    def wake(self) -> None:
        """Poll at once: a transaction was committed."""
        self._wakeup.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Perform until stopped."""
        while not stopping.is_set():
            self._wakeup.clear()
            try:
                done = await self.perform()
                self._polled.set_to_current_time()
            except Exception as fault:
                self._leases.mark_unhealthy()
                if not is_transient(fault):
                    raise
                log.warning("effects_failed", service=self._name, kind=type(fault).__name__)
                done = 0
            if done < _BATCH:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_SECONDS):
                        await self._wakeup.wait()

    async def perform(self) -> int:
        """Perform some of the effects that are due; return how many there were."""
        if not self._handlers:
            return 0
        async with self._leases.renewed():
            await self._completion.retry()
            rows = await self._leases.claim(_BATCH)
            faults = await asyncio.gather(*(self._do(row) for row in rows), return_exceptions=True)
        for fault in faults:
            if fault is not None:
                raise fault
        return len(rows)

    async def waiting(self) -> int:
        """Return how many effects are pending and have not failed yet."""
        found: int = await self._pool.fetchval(
            "select count(*) from effects where done_at is null and attempts <= 1"
        )
        return found

    async def _do(self, row: asyncpg.Record) -> None:
        try:
            await self._attempt(row)
        finally:
            if not self._completion.is_done(key_of(row)):
                self._leases.forget(key_of(row))

    async def _attempt(self, row: asyncpg.Record) -> None:
        about = msgspec.json.decode(row["about"], type=dict[str, str])
        key, effect = key_of(row), Effect(row["key"], row["kind"], about)
        if not self._completion.is_done(key) and not self._leases.is_held(key):
            log.warning("lease_lost", service=self._name, effect=effect.kind)  # this process was suspended
            return
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                crash_point("perform.before")
                if not self._completion.is_done(key):
                    context = EffectReader(self._processor, self._pool, self._settings, row["tenant"])
                    self._completion.record(row, await self._handlers[effect.kind](effect, context))
        except Exception as fault:  # noqa: BLE001  whatever failed outside, it is retried
            metrics.EFFECTS.labels(self._name, effect.kind, "retried").inc()
            log.warning("effect_retried", service=self._name, effect=effect.kind, kind=type(fault).__name__)
            pause = min(timedelta(seconds=5 * 2 ** min(row["attempts"], 20)), _LONGEST)
            await self._leases.release(key, pause)
            return
        crash_point("perform.after")
        # Where it cannot be completed now, only the completion is retried.
        await self._completion.complete(key)
