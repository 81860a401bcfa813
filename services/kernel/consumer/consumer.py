"""Hear events in batches: PostgreSQL commits first, Kafka's offsets follow about once a second."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaMessage

from contracts.event import topic_of
from services.kernel import metrics
from services.kernel.consumer.circuit_breaker import CircuitBreaker, TooManyParked
from services.kernel.consumer.decoding import DecodedBatch, EventDecoder
from services.kernel.consumer.faststream_subscriber import (
    EagerBatchSubscriber,
    passthrough_decoder,
    passthrough_parser,
    position_of,
)
from services.kernel.consumer.redelivery import Redelivery
from services.kernel.crash_points import crash_point
from services.kernel.errors import ProblemError
from services.kernel.kafka.clients import faststream_broker, is_open, subscriber_options
from services.kernel.kafka.wakeups import SIGNALS
from services.kernel.logging import log
from services.kernel.postgres.connections import Pool, is_missing_object, is_transient
from services.kernel.privacy.key_store import KeyStoreMismatch
from services.kernel.settings import Settings
from services.kernel.streams.envelopes import IncomingEvent
from services.kernel.streams.handler import BatchResult
from services.kernel.streams.parked import WAITING_ORDER, park
from services.kernel.streams.processor import BatchProcessor
from services.kernel.streams.store import WriteSet, save
from services.kernel.tracing import batch_span

_MOST: Final = 1_000
_WORTH_TWO: Final = 64
_COMMIT_SECONDS: Final = 1.0
_DEADLINE_SECONDS: Final = 5.0
_SILENT_SECONDS: Final = 30.0


class EventConsumer(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Takes what one service hears into its streams, exactly once in effect."""

    def __init__(self, processor: BatchProcessor, pool: Pool, settings: Settings) -> None:
        """Make the subscriber; nothing is opened before `start`."""
        self._name = processor.service.name
        self._processor = processor
        self._pool = pool
        self.decoder = EventDecoder(processor.service)
        self._redelivery = Redelivery(processor)
        self._breaker = CircuitBreaker(settings.parked_limit, settings.parked_seconds)
        # It comes back empty, and a place on a topic that is gone would pass over events of the new one.
        self._ephemeral_broker = settings.broker == "embedded"
        self._size = metrics.BATCH_SIZE.labels(self._name)
        self._read, self._applied = (metrics.BATCH_SECONDS.labels(self._name, at) for at in ("read", "apply"))
        self._heard = [
            metrics.CONSUMED.labels(self._name, how) for how in ("applied", "duplicate", "refused")
        ]
        self._done: dict[TopicPartition, int] = {}
        self.consumed: dict[TopicPartition, int] = {}
        self._ends: dict[TopicPartition, int] = {}
        self.more_expected = True
        self._committed_at = 0.0
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = asyncio.Event()
        self.stopped_by: str | None = None
        self.failures = 0
        self.polled_at = time.monotonic()
        self._joined = False
        self._broker = faststream_broker(settings)
        self._single_process = settings.alone
        self.topics = sorted(topic_of(source) for source in self.decoder.sources)
        # In one process all that is heard was sent by its own relays, so nobody need ask to learn of it.
        self.signal = SIGNALS.subscribe(self.topics) if settings.mode == "embedded" else None
        self._subscriber = self._broker.subscriber(
            *self.topics,
            group_id=None if self._single_process else f"samspil.{self._name}",
            batch=True,
            max_records=_MOST,
            ack_policy=AckPolicy.MANUAL,
            listener=self,
            parser=passthrough_parser,
            decoder=passthrough_decoder,
            **subscriber_options(settings),
        )
        self._subscriber.__class__ = EagerBatchSubscriber
        self._subscriber(self._handle)

    @property
    def consumer(self) -> AIOKafkaConsumer | None:
        """The consumer, while it runs."""
        return self._subscriber.consumer

    @property
    def joined(self) -> bool:
        """Whether its place is known: alone it is in no group, and reads all there is."""
        if self.consumer is None:
            return False
        return bool(self.consumer.assignment()) if self._single_process else self._joined

    async def start(self) -> None:
        """Begin to listen."""
        metrics.STOPPED.labels(self._name).set(self.stopped_by is not None)
        try:
            await self._broker.start()
        except BaseException:
            await self._broker.stop()
            raise

    async def stop(self) -> None:
        """Finish the batch under way, commit offsets, leave the group."""
        self._stopping.set()
        await self._idle.wait()
        await self.commit()
        if self.signal is not None:
            SIGNALS.unsubscribe(self.signal)
            self.signal.raised.set()
        consumer = self.consumer
        try:
            await self._broker.stop()
        finally:
            # aiokafka stops half where a fetch waits to be tried again: its end is taken for an order to us.
            if consumer is not None and is_open(consumer._client):  # noqa: SLF001  it has no other way
                await consumer._client.close()  # noqa: SLF001  the same

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Let the batch under way end before another member takes over, and leave it our place."""
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS * 4):
                await self._idle.wait()
        except TimeoutError:
            log.warning("rebalance_overtook_a_batch", service=self._name)
        await self.commit()
        for partition in revoked:
            self._done.pop(partition, None)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Take note; a member without partitions stands by."""
        self._joined = True
        log.info("partitions_assigned", service=self._name, count=len(list(assigned)))

    def unready_reasons(self) -> dict[str, str]:
        """Return what keeps this consumer from hearing, by part."""
        if self.stopped_by is not None:
            return {"consumer": f"stopped: {self.stopped_by}"}
        if not self.joined:
            return {"consumer": "has not joined its group"}
        if time.monotonic() - self.polled_at > _SILENT_SECONDS:
            return {"consumer": "has not polled the broker lately"}
        return {}

    async def commit(self) -> None:
        """Commit the offsets of what the database holds; a failure costs only repetition."""
        done, self._done = self._done, {}
        self._committed_at = time.monotonic()
        if not done or self.consumer is None or self._ephemeral_broker:
            return
        try:
            crash_point("offsets.before")
            async with asyncio.timeout(_DEADLINE_SECONDS):
                await self.consumer.commit(done)
            crash_point("offsets.after")
        except (KafkaError, TimeoutError, ValueError) as fault:
            log.warning("offsets_not_committed", service=self._name, kind=type(fault).__name__)

    async def commit_loop(self) -> None:
        """Commit offsets and measure the lag, once a second, for as long as the task lives."""
        while True:
            await asyncio.sleep(_COMMIT_SECONDS)
            if time.monotonic() - self._committed_at >= _COMMIT_SECONDS:
                await self.commit()
            self._measure_lag()

    async def refresh_end_offsets(self) -> None:
        """Ask how far the topics reach: who is stuck with a batch fetches nothing that would tell."""
        consumer = self.consumer
        if consumer is None or not consumer.assignment():
            return
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS):
                self._ends = await consumer.end_offsets(consumer.assignment())
        except (KafkaError, TimeoutError) as fault:
            log.warning("end_offsets_unavailable", service=self._name, kind=type(fault).__name__)

    def _measure_lag(self) -> None:
        consumer = self.consumer
        if consumer is None:
            return
        lag: dict[str, int] = {topic_of(source): 0 for source in self.decoder.sources}
        for partition in consumer.assignment():
            high = consumer.highwater(partition)
            place = consumer.last_stable_offset(partition) if high is None else high
            place = max(place or 0, self._ends.get(partition, 0))
            position = position_of(consumer, partition)
            if position is not None:
                lag[partition.topic] += max(0, place - position)
        for topic, behind in lag.items():
            metrics.LAG.labels(self._name, topic).set(behind)

    async def _handle(self, message: KafkaMessage) -> None:
        """Take one batch; never raise, never let go of a batch that is not in the database."""
        batch: DecodedBatch = message.raw_message[0]
        message.raw_message = ()  # FastStream's message refers to itself and lives until the collector comes
        self._idle.clear()
        self._read.observe(batch.seconds)
        try:
            pause, left = 0.05, batch.split_by_parity() if batch.count >= _WORTH_TWO else [batch]
            while not self._stopping.is_set():
                left = await self._process_until_stored(left)
                if not left:
                    self._record_progress(batch)
                    return
                await self._wait(pause)
                pause = min(pause * 2, 5.0)
        finally:
            self._idle.set()

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass

    async def _process_until_stored(self, parts: Sequence[DecodedBatch]) -> Sequence[DecodedBatch]:
        """Return the lanes of a batch that are not in the database: they must be tried again."""
        if self.stopped_by is not None:
            return parts
        if len(parts) == 1:
            ends: Sequence[BaseException | None] = [await self._try_part(parts[0])]
        else:
            ends = await asyncio.gather(*map(self._try_part, parts), return_exceptions=True)
        for end in ends:
            if end is not None:
                self._log_fault(end)
        left = [lane for lane, end in zip(parts, ends, strict=True) if end is not None]
        if not left:
            metrics.DATABASE_UP.labels(self._name).set(1)
        return left

    def _log_fault(self, fault: BaseException) -> None:
        """Tell why a lane could not be taken; what is no fault but an end is raised."""
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

    async def _try_part(self, part: DecodedBatch) -> Exception | None:
        """Take a lane of a batch; return what it failed of."""
        try:
            async with self._pool.acquire(timeout=_DEADLINE_SECONDS) as tx:
                await self._process_part(tx, part)
        except Exception as fault:  # noqa: BLE001  whatever it is, the lane is tried again or the intake stops
            return fault
        return None

    async def _process_part(self, tx: Any, part: DecodedBatch) -> None:
        began = time.perf_counter()
        heard, ticks, unreadable = part.events, part.watermarks, part.unreadable
        self._breaker.check_unreadable(len(unreadable), part.count, len(heard))
        with batch_span(self._name, heard):
            if unreadable:
                await save(tx, WriteSet(), parked=[park(record, reason) for record, reason in unreadable])
                self._breaker.record_unreadable(len(unreadable), len(heard))
                self._count_parked(reason for _, reason in unreadable)
            if heard:
                await self._apply(tx, heard)
            if ticks:
                await self._processor.dependencies.watermark.advance(tx, ticks)
        self._size.observe(part.count)
        self._applied.observe(time.perf_counter() - began)

    async def _apply(self, tx: Any, events: list[IncomingEvent]) -> None:
        """Apply events; where a batch cannot be saved or read for good, find the event that is to blame."""
        try:
            outcome = await self._processor.process(tx, events, guard=self._breaker.check_result)
        except Exception as fault:
            if (
                is_transient(fault)
                or is_missing_object(fault)
                or isinstance(fault, TooManyParked | KeyStoreMismatch)
            ):
                raise
            if len(events) == 1:
                events[0].poison, events[0].body = "bug", None
                outcome = await self._processor.process(tx, events, guard=self._breaker.check_result)
            else:
                middle = len(events) // 2
                await self._apply(tx, events[:middle])
                await self._apply(tx, events[middle:])
                return
        self._count(outcome)
        healing = {at.stream_id for at in outcome.parked if at.reason in WAITING_ORDER and at.stream_id}
        for stream_id in healing:
            await self._redelivery.retry_waiting(tx, stream_id)

    def _count(self, result: BatchResult) -> None:
        self._breaker.record_result(result)
        for heard, count in zip(
            self._heard, (result.applied, result.duplicates, result.refused), strict=True
        ):
            heard.inc(count)
        self._count_parked(at.reason for at in result.parked)

    def _count_parked(self, reasons: Iterable[str]) -> None:
        for reason in reasons:
            metrics.PARKED.labels(self._name, reason).inc()
            log.warning("event_parked", service=self._name, reason=reason)

    def _record_progress(self, batch: DecodedBatch) -> None:
        done = {TopicPartition(*place): end for place, end in batch.ends.items()}
        self._done.update(done)
        self.consumed.update(done)
