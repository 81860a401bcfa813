"""Batch processing: store a decoded batch in the streams, and find the event at fault where that fails."""

import time
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from msgspec.structs import astuple

from services.kernel import metrics
from services.kernel.consumer.circuit_breaker import (
    CircuitBreaker,
    MustHold,
    MustReadTenants,
    TooManyParked,
)
from services.kernel.consumer.decoding import DecodedBatch
from services.kernel.consumer.failure_counts import (
    Cell,
    Count,
    cell_of,
    counts_of,
    counts_of_unreadable,
    summed,
)
from services.kernel.consumer.redelivery import Redelivery
from services.kernel.decider.projection_rows import columns
from services.kernel.decider.revocations import KEEP_REVOCATIONS, Revocation
from services.kernel.logging import log
from services.kernel.postgres.connections import is_missing_object, is_transient
from services.kernel.privacy.key_store import KeyStoreMismatch
from services.kernel.settings import Settings
from services.kernel.streams.envelopes import IncomingEvent
from services.kernel.streams.handler import BatchResult
from services.kernel.streams.parked import HELD, WAITING_ORDER, park
from services.kernel.streams.processor import BatchProcessor
from services.kernel.streams.store import WriteSet, save
from services.kernel.streams.stream import ParkedEvent
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
        with batch_span(self._name, batch.events):
            if batch.unreadable:
                await self._quarantine(tx, batch)
            if batch.events:
                await self._apply(tx, batch.events)
            if batch.revocations:
                await self._keep_revocations(tx, [revocation for _, revocation in batch.revocations])
            if batch.watermarks:
                await self._processor.dependencies.watermark.advance(tx, batch.watermarks)
        self._size.observe(batch.count)
        self._seconds.observe(time.perf_counter() - started_at)

    async def _quarantine(self, tx: Any, batch: DecodedBatch) -> None:
        """Save records that cannot be read; a stream of another municipality is its sender's fault alone."""
        parked = [park(record, reason) for record, reason in batch.unreadable]
        counts = counts_of_unreadable(parked)
        read = {cell: Count(0, n, n) for cell, n in Counter(map(cell_of, batch.events)).items()}
        if self._breaker.must_read_tenants(counts):
            self._breaker.know(await tx.fetchrow(_TENANTS))
        self._report_open(self._breaker.check(summed(counts, read)))
        await save(tx, WriteSet(), parked=parked)
        self._breaker.record(counts)
        self._count_parked(parked)

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
        self._count(events, result)
        waiting = {
            (at.tenant, at.stream_id) for at in result.parked if at.reason in WAITING_ORDER and at.stream_id
        }
        if waiting:
            await self._redelivery.retry_streams(tx, waiting)

    async def _process(self, tx: Any, events: list[IncomingEvent]) -> BatchResult:
        """Process events, again with those held whose breaker they open: each time it is one more."""
        has_read = False

        def guard(result: BatchResult) -> None:
            counts = counts_of(events, result)
            if not has_read and self._breaker.must_read_tenants(counts):
                raise MustReadTenants
            if opened := self._breaker.check(counts):
                self._report_open(opened)
                raise MustHold

        while True:
            _hold(events, self._breaker.held())
            try:
                return await self._processor.process(tx, events, guard=guard)
            except MustHold:
                continue
            except MustReadTenants:
                self._breaker.know(await tx.fetchrow(_TENANTS))
                has_read = True

    def _report_open(self, cells: Iterable[Cell]) -> None:
        for cell in cells:
            log.error("municipality_held", service=self._name, **cell._asdict())

    def _count(self, events: Sequence[IncomingEvent], result: BatchResult) -> None:
        self._breaker.record(counts_of(events, result))
        counts = (result.applied, result.duplicates, result.refused)
        for counter, count in zip(self._consumed, counts, strict=True):
            counter.inc(count)
        self._count_parked(result.parked)

    def _count_parked(self, parked: Iterable[ParkedEvent]) -> None:
        """Count what was parked, and log a line for each municipality and reason of a batch."""
        for (tenant, reason), count in Counter((one.tenant, one.reason) for one in parked).items():
            metrics.PARKED.labels(self._name, reason).inc(count)
            log.warning("events_parked", service=self._name, tenant=tenant, reason=reason, count=count)


def _hold(events: Iterable[IncomingEvent], held: Collection[Cell]) -> None:
    """Mark events as held; what is wrong with one already stays its reason."""
    if not held:
        return
    for event in events:
        if not event.poison and cell_of(event) in held:
            event.poison, event.body = HELD, None


def _is_no_event_at_fault(fault: Exception) -> bool:
    """Return whether the database or the installation is at fault, and no event."""
    return (
        is_transient(fault) or is_missing_object(fault) or isinstance(fault, TooManyParked | KeyStoreMismatch)
    )


_TENANTS: Final = "select min(tenant), max(tenant) from streams"
