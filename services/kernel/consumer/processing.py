"""Batch processing: store a decoded batch in the streams, and find the event at fault where that fails."""

import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

from msgspec.structs import astuple

from services.kernel import metrics
from services.kernel.consumer.circuit_breaker import CircuitBreaker, TooManyParked
from services.kernel.consumer.decoding import DecodedBatch
from services.kernel.consumer.redelivery import Redelivery
from services.kernel.decider.projection_rows import columns
from services.kernel.decider.revocations import KEEP_REVOCATIONS, Revocation
from services.kernel.logging import log
from services.kernel.postgres.connections import is_missing_object, is_transient
from services.kernel.privacy.key_store import KeyStoreMismatch
from services.kernel.settings import Settings
from services.kernel.streams.envelopes import IncomingEvent
from services.kernel.streams.handler import BatchResult
from services.kernel.streams.parked import FOREIGN_STREAM, WAITING_ORDER, park
from services.kernel.streams.processor import BatchProcessor
from services.kernel.streams.store import WriteSet, save
from services.kernel.tracing import batch_span

_OUTCOMES: Final = ("applied", "duplicate", "refused")


class BatchStore:
    """Stores decoded batches of one service: events, watermarks, and records that cannot be read."""

    def __init__(self, processor: BatchProcessor, settings: Settings) -> None:
        """Process by the service's rules."""
        self._name = processor.service.name
        self._processor = processor
        self._redelivery = Redelivery(processor)
        self._breaker = CircuitBreaker(settings.parked_limit, settings.parked_seconds)
        self._size = metrics.BATCH_SIZE.labels(self._name)
        self._seconds = metrics.BATCH_SECONDS.labels(self._name, "apply")
        self._consumed = [metrics.CONSUMED.labels(self._name, outcome) for outcome in _OUTCOMES]

    async def store(self, tx: Any, batch: DecodedBatch) -> None:
        """Store a batch; raise `TooManyParked`, and whatever keeps it from being stored."""
        started_at = time.perf_counter()
        events, watermarks, unreadable = batch.events, batch.watermarks, batch.unreadable
        # An event for a stream of another municipality is its sender's fault: it stops nobody else's.
        faults = sum(reason != FOREIGN_STREAM for _, reason in unreadable)
        self._breaker.check_unreadable(faults, batch.count, len(events))
        with batch_span(self._name, events):
            if unreadable:
                await save(tx, WriteSet(), parked=[park(record, reason) for record, reason in unreadable])
                self._breaker.record_unreadable(faults, len(events))
                self._count_parked(reason for _, reason in unreadable)
            if events:
                await self._apply(tx, events)
            if batch.revocations:
                await self._keep_revocations(tx, [revocation for _, revocation in batch.revocations])
            if watermarks:
                await self._processor.dependencies.watermark.advance(tx, watermarks)
        self._size.observe(batch.count)
        self._seconds.observe(time.perf_counter() - started_at)

    async def _keep_revocations(self, tx: Any, revocations: Sequence[Revocation]) -> None:
        """Store who is let in no more, or again, as the process's verifier reads it."""
        await tx.execute(KEEP_REVOCATIONS, *columns([astuple(one) for one in revocations]))
        log.info("revocations_changed", service=self._name, count=len(revocations))

    async def _apply(self, tx: Any, events: list[IncomingEvent]) -> None:
        """Apply events; where a batch fails for good, bisect it down to the event at fault."""
        try:
            result = await self._process(tx, events)
        except Exception as fault:
            if _is_no_event_at_fault(fault):
                raise
            if len(events) > 1:
                middle = len(events) // 2
                await self._apply(tx, events[:middle])
                await self._apply(tx, events[middle:])
                return
            events[0].poison, events[0].body = "bug", None
            result = await self._process(tx, events)
        self._count(result)
        waiting = {
            (at.tenant, at.stream_id) for at in result.parked if at.reason in WAITING_ORDER and at.stream_id
        }
        for key in waiting:
            await self._redelivery.retry_waiting(tx, key)

    async def _process(self, tx: Any, events: list[IncomingEvent]) -> BatchResult:
        return await self._processor.process(tx, events, guard=self._breaker.check_result)

    def _count(self, result: BatchResult) -> None:
        self._breaker.record_result(result)
        counts = (result.applied, result.duplicates, result.refused)
        for counter, count in zip(self._consumed, counts, strict=True):
            counter.inc(count)
        self._count_parked(at.reason for at in result.parked)

    def _count_parked(self, reasons: Iterable[str]) -> None:
        for reason in reasons:
            metrics.PARKED.labels(self._name, reason).inc()
            log.warning("event_parked", service=self._name, reason=reason)


def _is_no_event_at_fault(fault: Exception) -> bool:
    """Return whether the database or the installation is at fault, and no event."""
    return (
        is_transient(fault) or is_missing_object(fault) or isinstance(fault, TooManyParked | KeyStoreMismatch)
    )
