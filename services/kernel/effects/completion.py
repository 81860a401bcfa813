"""Completion of effects: mark one as done and apply its outcome to its stream, in one transaction."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import asyncpg

from services.kernel import metrics
from services.kernel.clock import Clock
from services.kernel.crash_points import crash_point
from services.kernel.decider.decision import Actor
from services.kernel.effects.leases import EffectKey, Leases, key_of
from services.kernel.errors import NotFound, Refused
from services.kernel.ids import new_id
from services.kernel.logging import log
from services.kernel.postgres.connections import Pool, is_missing_object, is_transient
from services.kernel.streams.envelopes import Envelope
from services.kernel.streams.handler import BatchResult
from services.kernel.streams.processor import BatchProcessor

_TRIES: Final = 10

Performed: TypeAlias = tuple[asyncpg.Record, Any]


def _key(ended: Performed) -> EffectKey:
    return key_of(ended[0])


class Completion:
    """Completes the effects of one service.

    An effect that cannot be completed now is remembered, under its lease, until it is.
    """

    def __init__(self, processor: BatchProcessor, pool: Pool, clock: Clock, leases: Leases) -> None:
        """Complete by the service's table."""
        self._processor = processor
        self._pool = pool
        self._clock = clock
        self._leases = leases
        self._name = processor.service.name
        self._lock = asyncio.Lock()
        self._waiting: list[Performed] = []
        self._incomplete: dict[EffectKey, Performed] = {}

    def is_done(self, key: EffectKey) -> bool:
        """Return whether an effect was performed here, and could not be completed yet."""
        return key in self._incomplete

    def record(self, row: asyncpg.Record, outcome: Any) -> None:
        """Remember an effect that was performed, and its outcome, until it is completed."""
        self._incomplete[key_of(row)] = row, outcome

    async def retry(self) -> None:
        """Retry what could not be completed, each effect alone: one may wait for another session."""
        retries = [self._complete([one]) for one in self._incomplete.values()]
        for fault in await asyncio.gather(*retries, return_exceptions=True):
            if fault is None:
                continue
            self._leases.mark_unhealthy()
            if not isinstance(fault, Exception) or not is_transient(fault):
                raise fault
            log.warning("effect_not_completed", service=self._name, kind=type(fault).__name__)

    async def complete(self, key: EffectKey) -> None:
        """Complete an effect, and with it those that ended while another transaction was open."""
        self._waiting.append(self._incomplete[key])
        async with self._lock:
            ended, self._waiting = sorted(self._waiting, key=_key), []  # every worker locks in one order
            if ended:
                await self._complete(ended)

    async def _complete(self, ended: Sequence[Performed]) -> None:
        """Complete effects in one transaction.

        No effect is repeated because its stream refuses the outcome: where one is refused, or its rule fails,
        each is completed alone.
        """
        try:
            await self._apply_outcomes(ended)
        except Exception as fault:
            if is_transient(fault) or is_missing_object(fault):
                raise
            if len(ended) > 1:
                for one in ended:
                    await self._complete([one])
                return
            await self._complete_without_stream(ended[0][0], fault)
        crash_point("mark.after")
        for row, _ in ended:
            self._incomplete.pop(key_of(row), None)
            self._leases.forget(key_of(row))
            metrics.EFFECTS.labels(self._name, row["kind"], "done").inc()

    async def _complete_without_stream(self, row: asyncpg.Record, fault: Exception) -> None:
        if isinstance(fault, Refused | NotFound):
            metrics.REFUSED.labels(self._name, fault.code()).inc()
            outcome = fault.code()
        else:
            metrics.BUGS.labels(self._name, type(fault).__name__).inc()
            log.error(
                "effect_result_failed", service=self._name, effect=row["kind"], kind=type(fault).__name__
            )
            outcome = "bug"
        await self._pool.execute(_DONE, [row["tenant"]], [row["key"]], [outcome])

    async def _apply_outcomes(self, ended: Sequence[Performed]) -> None:
        """Mark effects and apply their outcomes, again where another writer was faster."""
        for attempt in range(_TRIES):
            try:
                outcome = await self._complete_with_streams(ended)
            except asyncpg.SerializationError:
                if attempt + 1 == _TRIES:
                    raise
                await self._processor.pause_before_retry(attempt)
            else:
                if outcome is not None:
                    self._processor.publish_committed(outcome)
                return

    async def _complete_with_streams(self, ended: Sequence[Performed]) -> BatchResult | None:
        tenants, keys = [row["tenant"] for row, _ in ended], [row["key"] for row, _ in ended]
        outcomes = ["none" if answer is None else type(answer).__name__ for _, answer in ended]
        async with self._pool.acquire() as tx, tx.transaction():
            # Another worker may have been faster, where a lease has expired.
            marked = {key_of(row) for row in await tx.fetch(_DONE, tenants, keys, outcomes)}
            crash_point("mark.before")
            envelopes = [
                self._envelope(row, answer)
                for row, answer in ended
                if answer is not None and key_of(row) in marked
            ]
            return await self._processor.process_once(tx, envelopes) if envelopes else None

    def _envelope(self, row: asyncpg.Record, answer: Any) -> Envelope:
        cause = str(new_id())
        actor = Actor(tenant=row["tenant"])
        return Envelope(row["stream_id"], row["tenant"], answer, actor, self._clock.now(), cause, cause)


_DONE: Final = """
update effects set done_at = now(), outcome = ended.outcome
from unnest($1::text[], $2::uuid[], $3::text[]) as ended (tenant, key, outcome)
where effects.tenant = ended.tenant and effects.key = ended.key and effects.done_at is null
returning effects.tenant, effects.key
"""
