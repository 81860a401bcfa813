"""Event consumer: store events in batches; PostgreSQL commits first, Kafka's offsets follow."""

import asyncio
import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import ConsumerStoppedError, KafkaError

from contracts.event import topic_of
from services.kernel import metrics
from services.kernel.consumer.circuit_breaker import TooManyParked
from services.kernel.consumer.decoding import DecodedBatch, EventDecoder
from services.kernel.consumer.faststream_subscriber import BatchSubscription
from services.kernel.consumer.offsets import ConsumedOffsets
from services.kernel.consumer.polling import Poller
from services.kernel.consumer.processing import BatchStore
from services.kernel.errors import ProblemError
from services.kernel.kafka.clients import keeps_offsets
from services.kernel.kafka.signals import Signals
from services.kernel.logging import log
from services.kernel.postgres.connections import Pool, is_transient
from services.kernel.settings import Settings
from services.kernel.streams.processor import BatchProcessor

_SPLIT_FROM: Final = 64
_ACQUIRE_SECONDS: Final = 5.0
_REVOKE_SECONDS: Final = 20.0
_SILENT_SECONDS: Final = 30.0
_FIRST_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 5.0


class EventConsumer(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Consumes the events that one service subscribes to, exactly once in effect."""

    def __init__(self, processor: BatchProcessor, pool: Pool, settings: Settings, signals: Signals) -> None:
        """Prepare; nothing is opened before `start`."""
        self._name = processor.service.name
        self._pool = pool
        self._store = BatchStore(processor, settings)
        self._alone = settings.alone
        self._read_seconds = metrics.BATCH_SECONDS.labels(self._name, "read")
        decoder = EventDecoder(processor.service)
        self.topics = sorted(topic_of(source) for source in decoder.sources)
        self._signals = signals
        self._signal = signals.subscribe(self.topics)
        self._poller = Poller(decoder, self._signal, settings.limits.consumer_batch)
        self._offsets = ConsumedOffsets(
            self._name, self.topics, lambda: self.consumer, commits=keeps_offsets(settings)
        )
        self._subscription = BatchSubscription(self, self, self._name, settings)
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = asyncio.Event()
        self._joined = False
        self._fetch_pause = _FIRST_PAUSE_SECONDS
        self.stopped_by: str | None = None
        self.failures = 0

    @property
    def consumer(self) -> AIOKafkaConsumer | None:
        """The client, while it runs."""
        return self._subscription.consumer

    @property
    def consumed(self) -> Mapping[TopicPartition, int]:
        """Offsets behind the last events that the database holds."""
        return self._offsets.consumed

    @property
    def joined(self) -> bool:
        """Whether partitions were assigned; a consumer in no group reads all of them."""
        if self.consumer is None:
            return False
        return bool(self.consumer.assignment()) if self._alone else self._joined

    async def start(self) -> None:
        """Start to consume."""
        metrics.STOPPED.labels(self._name).set(self.stopped_by is not None)
        await self._subscription.start()

    async def stop(self) -> None:
        """Finish the current batch, commit offsets, leave the group."""
        self._stopping.set()
        await self._idle.wait()
        await self._offsets.commit()
        if self._signal is not None:
            self._signals.unsubscribe(self._signal)
            self._signal.raised.set()
        await self._subscription.stop()

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Wait for the current batch before another member takes over, and leave it our offsets."""
        try:
            async with asyncio.timeout(_REVOKE_SECONDS):
                await self._idle.wait()
        except TimeoutError:
            log.warning("rebalance_overtook_a_batch", service=self._name)
        await self._offsets.commit()
        self._offsets.revoke(revoked)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Record that this member has joined; a member without partitions stands by."""
        self._joined = True
        log.info("partitions_assigned", service=self._name, count=len(list(assigned)))

    def unready_reasons(self) -> dict[str, str]:
        """Return why this consumer does not consume, by part; nothing where it does."""
        if self.stopped_by is not None:
            return {"consumer": f"stopped: {self.stopped_by}"}
        if not self.joined:
            return {"consumer": "has not joined its group"}
        if time.monotonic() - self._poller.polled_at > _SILENT_SECONDS:
            return {"consumer": "has not polled the broker lately"}
        return {}

    async def commit_loop(self) -> None:
        """Commit offsets and measure the lag, once a second, for as long as the task lives."""
        await self._offsets.commit_loop()

    async def refresh_end_offsets(self) -> None:
        """Refresh the end offsets that the lag is measured by."""
        await self._offsets.refresh_ends()

    async def poll(self, consumer: AIOKafkaConsumer) -> DecodedBatch:
        """Return the next batch; where the broker fails, an empty one after a growing pause.

        FastStream would pause for five seconds after any failure.
        """
        try:
            batch = await self._poller.poll(consumer)
        except ConsumerStoppedError:
            raise
        except KafkaError as fault:
            log.warning("fetch_failed", service=self._name, kind=type(fault).__name__)
            await self._pause(self._fetch_pause)
            self._fetch_pause = min(self._fetch_pause * 2, _LONGEST_PAUSE_SECONDS)
            return DecodedBatch()
        self._fetch_pause = _FIRST_PAUSE_SECONDS
        return batch

    async def handle(self, batch: DecodedBatch) -> None:
        """Store one batch; never raise, and return only when the database holds it or the consumer stops."""
        self._idle.clear()
        self._read_seconds.observe(batch.seconds)
        try:
            pause, left = _FIRST_PAUSE_SECONDS, _parts_of(batch)
            while not self._stopping.is_set():
                left = await self._store_parts(left)
                if not left:
                    self._offsets.record(batch.ends)
                    return
                await self._pause(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
        finally:
            self._idle.set()

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    async def _store_parts(self, parts: Sequence[DecodedBatch]) -> Sequence[DecodedBatch]:
        """Return the parts of a batch that could not be stored: they must be tried again."""
        if self.stopped_by is not None:
            return parts
        if len(parts) == 1:
            faults: Sequence[BaseException | None] = [await self._try_part(parts[0])]
        else:
            faults = await asyncio.gather(*map(self._try_part, parts), return_exceptions=True)
        for fault in faults:
            if fault is not None:
                self._record_fault(fault)
        left = [part for part, fault in zip(parts, faults, strict=True) if fault is not None]
        if not left:
            metrics.DATABASE_UP.labels(self._name).set(1)
        return left

    async def _try_part(self, part: DecodedBatch) -> Exception | None:
        """Store a part of a batch; return why it could not be stored."""
        try:
            async with self._pool.acquire(timeout=_ACQUIRE_SECONDS) as tx:
                await self._store.store(tx, part)
        except Exception as fault:  # noqa: BLE001  whatever it is, the part is tried again or the consumer stops
            return fault
        return None

    def _record_fault(self, fault: BaseException) -> None:
        """Log why a part could not be stored, and stop where too much is parked; a cancellation is raised."""
        if not isinstance(fault, Exception):
            raise fault
        if isinstance(fault, TooManyParked):
            self.stopped_by = fault.code()
            metrics.STOPPED.labels(self._name).set(1)
            log.error("consumer_stopped", service=self._name, reason=fault.code(), hint=fault.detail)
            return
        if is_transient(fault) and not isinstance(fault, ProblemError):
            metrics.DATABASE_UP.labels(self._name).set(0)
        self.failures += 1
        log.warning("batch_failed", service=self._name, kind=type(fault).__name__)


def _parts_of(batch: DecodedBatch) -> Sequence[DecodedBatch]:
    return batch.split_by_parity() if batch.count >= _SPLIT_FROM else [batch]
