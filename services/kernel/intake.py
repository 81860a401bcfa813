"""Hear events in batches: PostgreSQL commits first, Kafka's offsets follow about once a second."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaMessage
from faststream.kafka.subscriber.usecase import BatchSubscriber

from contracts.event import topic_of
from services.kernel import metrics
from services.kernel.bell import BELLS
from services.kernel.crash import crash_point
from services.kernel.database import Pool, passes
from services.kernel.errors import No
from services.kernel.hearing import Hearing
from services.kernel.kms import KeyStoreBroken
from services.kernel.logs import log
from services.kernel.messages import Record
from services.kernel.parking import WAITING, park
from services.kernel.replay import Replay
from services.kernel.settings import Settings
from services.kernel.step import Step
from services.kernel.streams import save
from services.kernel.tracing import batch_span
from services.kernel.weighing import Heard, Outcome
from services.kernel.wire import faststream_broker, subscriber_options

_MOST: Final = 500
_WORTH_TWO: Final = 64
_LISTEN_MS: Final = 1_000
_LISTEN_BRIEFLY_MS: Final = 50
_REST_SECONDS: Final = 1.0
_COMMIT_SECONDS: Final = 1.0
_DEADLINE_SECONDS: Final = 5.0
_SHARE: Final = 0.1
_SILENT_SECONDS: Final = 30.0


class TooManyParked(No):
    """So many events cannot be taken that the fault is ours: intake has stopped."""


class LongPoll(BatchSubscriber):
    """FastStream's batch subscriber without its deaf pause after an empty fetch (see DECISIONS)."""

    __slots__ = ()

    async def get_msg(self, consumer: AIOKafkaConsumer) -> tuple[Record, ...]:
        """Return what has come, waiting for the first of it."""
        intake = self._listener
        if not isinstance(intake, Intake):
            raise TypeError(intake)
        if intake.bell is None:
            found = await consumer.getmany(timeout_ms=_LISTEN_MS, max_records=self.max_records)
        else:
            found = await self._get_when_rung(consumer, intake, intake.bell)
        intake.polled_at = time.monotonic()
        return tuple(record for records in found.values() for record in records)

    async def _get_when_rung(self, consumer: AIOKafkaConsumer, intake: "Intake", bell: asyncio.Event) -> Any:
        """Fetch while there is more, and then nothing until a relay of this process rings, or for a while.

        Whatever is sent during a fetch rings after the bell was silenced.
        """
        if not intake.more:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_REST_SECONDS):
                    await bell.wait()
        bell.clear()
        consumer.resume(*consumer.assignment())
        found = await consumer.getmany(timeout_ms=_LISTEN_BRIEFLY_MS, max_records=self.max_records)
        intake.more = intake.is_behind()
        if not intake.more:
            consumer.pause(*consumer.assignment())
        return found


class Intake(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Takes what one service hears into its streams, exactly once in effect."""

    def __init__(self, step: Step, pool: Pool, settings: Settings) -> None:
        """Make the subscriber; nothing is opened before `start`."""
        self._name = step.service.name
        self._step = step
        self._pool = pool
        self._hearing = Hearing(step.service)
        self._replay = Replay(step)
        self._limit = settings.parked_limit
        self._window = settings.parked_seconds
        self._in_vain = 0
        # It comes back empty, and a place on a topic that is gone would pass over events of the new one.
        self._forgetful = settings.broker == "embedded"
        self._seen: deque[tuple[float, int, int]] = deque()
        self._done: dict[TopicPartition, int] = {}
        self.taken: dict[TopicPartition, int] = {}
        self._ends: dict[TopicPartition, int] = {}
        self.more = True
        self._committed_at = 0.0
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._stopping = asyncio.Event()
        self.stopped_by: str | None = None
        self.failures = 0
        self.polled_at = time.monotonic()
        self._joined = False
        self._broker = faststream_broker(settings)
        self.topics = sorted(topic_of(source) for source in self._hearing.sources)
        # In one process all that is heard was sent by its own relays, so nobody need ask to learn of it.
        self.bell = BELLS.hang(self.topics) if settings.mode == "embedded" else None
        self._subscriber = self._broker.subscriber(
            *self.topics,
            group_id=f"samspil.{self._name}",
            batch=True,
            max_records=_MOST,
            ack_policy=AckPolicy.MANUAL,
            listener=self,
            parser=_unparsed,
            decoder=_undecoded,
            **subscriber_options(settings),
        )
        self._subscriber.__class__ = LongPoll
        self._subscriber(self._handle)

    @property
    def consumer(self) -> AIOKafkaConsumer | None:
        """The consumer, while it runs."""
        return self._subscriber.consumer

    async def start(self) -> None:
        """Begin to listen."""
        metrics.STOPPED.labels(self._name).set(0)
        try:
            await self._broker.start()
        except BaseException:
            await self._broker.stop()
            raise

    async def stop(self) -> None:
        """Finish the batch under way, commit offsets, leave the group."""
        self._stopping.set()
        await self._quiet.wait()
        await self.commit()
        if self.bell is not None:
            BELLS.take_down(self.bell)
            self.bell.set()
        await self._broker.stop()

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Let the batch under way end before another member takes over, and leave it our place."""
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS * 4):
                await self._quiet.wait()
        except TimeoutError:
            log.warning("rebalance_overtook_a_batch", service=self._name)
        await self.commit()
        for partition in revoked:
            self._done.pop(partition, None)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Take note; a member without partitions stands by."""
        self._joined = True
        log.info("partitions_assigned", service=self._name, count=len(list(assigned)))

    def why_not_ready(self) -> dict[str, str]:
        """Return what keeps this consumer from hearing, by part."""
        if self.stopped_by is not None:
            return {"intake": f"stopped: {self.stopped_by}"}
        if self.consumer is None or not self._joined:
            return {"intake": "has not joined its group"}
        if time.monotonic() - self.polled_at > _SILENT_SECONDS:
            return {"intake": "has not asked the broker lately"}
        return {}

    async def commit(self) -> None:
        """Commit the offsets of what the database holds; a failure costs only repetition."""
        done, self._done = self._done, {}
        self._committed_at = time.monotonic()
        if not done or self.consumer is None or self._forgetful:
            return
        try:
            crash_point("offsets.before")
            async with asyncio.timeout(_DEADLINE_SECONDS):
                await self.consumer.commit(done)
            crash_point("offsets.after")
        except (KafkaError, TimeoutError, ValueError) as fault:
            log.warning("offsets_not_committed", service=self._name, kind=type(fault).__name__)

    async def keep_place(self) -> None:
        """Commit offsets and measure the lag, once a second, for as long as the task lives."""
        while True:
            await asyncio.sleep(_COMMIT_SECONDS)
            if time.monotonic() - self._committed_at >= _COMMIT_SECONDS:
                await self.commit()
            self._measure_lag()

    def is_behind(self) -> bool:
        """Return whether the broker was seen to hold more than was fetched."""
        consumer = self.consumer
        return consumer is not None and any(
            (consumer.highwater(partition) or 0) > (_position(consumer, partition) or 0)
            for partition in consumer.assignment()
        )

    async def look_ahead(self) -> None:
        """Ask how far the topics reach: who is stuck with a batch fetches nothing that would tell."""
        consumer = self.consumer
        if consumer is None or not consumer.assignment():
            return
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS):
                self._ends = await consumer.end_offsets(consumer.assignment())
        except (KafkaError, TimeoutError) as fault:
            log.warning("ends_not_told", service=self._name, kind=type(fault).__name__)

    def _measure_lag(self) -> None:
        consumer = self.consumer
        if consumer is None:
            return
        lag: dict[str, int] = {topic_of(source): 0 for source in self._hearing.sources}
        for partition in consumer.assignment():
            high = consumer.highwater(partition)
            place = consumer.last_stable_offset(partition) if high is None else high
            place = max(place or 0, self._ends.get(partition, 0))
            position = _position(consumer, partition)
            if position is not None:
                lag[partition.topic] += max(0, place - position)
        for topic, behind in lag.items():
            metrics.LAG.labels(self._name, topic).set(behind)

    async def _handle(self, message: KafkaMessage) -> None:
        """Take one batch; never raise, never let go of a batch that is not in the database."""
        records: tuple[Record, ...] = message.raw_message
        message.raw_message = ()  # FastStream's message refers to itself and lives until the collector comes
        self._quiet.clear()
        try:
            pause = 0.05
            while not self._stopping.is_set():
                if await self._taken(records):
                    self._note(records)
                    return
                await self._wait(pause)
                pause = min(pause * 2, 5.0)
        finally:
            self._quiet.set()

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass

    async def _taken(self, records: Sequence[Record]) -> bool:
        """Return whether the batch is in the database; if not it must be tried again."""
        if self.stopped_by is not None:
            return False
        try:
            await together(self._take_lane(lane) for lane in _lanes(records))
        except TooManyParked as fault:
            self.stopped_by = fault.slug()
            metrics.STOPPED.labels(self._name).set(1)
            log.error("intake_stopped", service=self._name, reason=fault.slug(), hint=fault.hint)
            return False
        except Exception as fault:  # noqa: BLE001  a handler that raises would lose its batch
            if passes(fault) and not isinstance(fault, No):
                metrics.DATABASE_UP.labels(self._name).set(0)
            self.failures += 1
            log.warning("batch_failed", service=self._name, kind=type(fault).__name__)
            return False
        metrics.DATABASE_UP.labels(self._name).set(1)
        return True

    async def _take_lane(self, records: Sequence[Record]) -> None:
        async with self._pool.acquire(timeout=_DEADLINE_SECONDS) as tx:
            await self._take(tx, records)

    async def _take(self, tx: Any, records: Sequence[Record]) -> None:
        began = time.perf_counter()
        heard, ticks, unreadable = self._hearing.read(records)
        in_vain = self._in_vain + (0 if heard else len(unreadable))
        self._refuse_flood(len(unreadable), len(records), in_vain)
        read = time.perf_counter()
        with batch_span(self._name, heard):
            if unreadable:
                await save(tx, (), parked=[park(record, reason) for record, reason in unreadable])
                self._remember(len(unreadable), len(unreadable), in_vain)
                self._count_parked(reason for _, reason in unreadable)
            if heard:
                await self._apply(tx, heard)
            if ticks:
                await self._step.known.horizon.move(tx, ticks)
        metrics.BATCH_SIZE.labels(self._name).observe(len(records))
        metrics.BATCH_SECONDS.labels(self._name, "read").observe(read - began)
        metrics.BATCH_SECONDS.labels(self._name, "apply").observe(time.perf_counter() - read)

    async def _apply(self, tx: Any, heard: list[Heard]) -> None:
        """Apply events; where a batch cannot be saved or read for good, find the event that is to blame."""
        try:
            outcome = await self._step.apply(tx, heard, guard=self._guard)
        except Exception as fault:
            if passes(fault) or isinstance(fault, TooManyParked | KeyStoreBroken):
                raise
            if len(heard) == 1:
                heard[0].poison, heard[0].body = "bug", None
                outcome = await self._step.apply(tx, heard, guard=self._guard)
            else:
                middle = len(heard) // 2
                await self._apply(tx, heard[:middle])
                await self._apply(tx, heard[middle:])
                return
        self._count(outcome)
        healing = {at.stream_id for at in outcome.parked if at.reason in WAITING and at.stream_id}
        for stream_id in healing:
            await self._replay.heal(tx, stream_id)

    def _guard(self, outcome: Outcome) -> None:
        self._refuse_flood(*self._weight(outcome))

    def _weight(self, outcome: Outcome) -> tuple[int, int, int]:
        """Return of an outcome how much is poison, how much there is, and what then failed in a row."""
        poison = sum(at.reason not in WAITING for at in outcome.parked)
        seen = outcome.applied + outcome.duplicates + len(outcome.parked)
        return poison, seen, 0 if outcome.applied else self._in_vain + poison

    def _refuse_flood(self, poison: int, seen: int, in_vain: int) -> None:
        """Raise `TooManyParked` where a bad deploy would empty the topic into the parking lot."""
        if not poison:
            return
        since = time.monotonic() - self._window
        recent = [entry for entry in self._seen if entry[0] >= since]
        parked = poison + sum(entry[1] for entry in recent)
        total = seen + sum(entry[2] for entry in recent)
        if parked > self._limit and parked > _SHARE * total:
            raise TooManyParked(f"{parked} of the last {total} events; the limit is {self._limit}")
        if in_vain > self._limit:
            raise TooManyParked(f"{in_vain} one after the other; the limit is {self._limit}")

    def _remember(self, poison: int, seen: int, in_vain: int) -> None:
        """Count what the database holds now; a batch that is tried again must not count again."""
        now = time.monotonic()
        while self._seen and now - self._seen[0][0] > self._window:
            self._seen.popleft()
        self._in_vain = in_vain
        self._seen.append((now, poison, seen))

    def _count(self, outcome: Outcome) -> None:
        self._remember(*self._weight(outcome))
        metrics.HEARD.labels(self._name, "applied").inc(outcome.applied)
        metrics.HEARD.labels(self._name, "duplicate").inc(outcome.duplicates)
        metrics.HEARD.labels(self._name, "refused").inc(outcome.refused)
        self._count_parked(at.reason for at in outcome.parked)

    def _count_parked(self, reasons: Iterable[str]) -> None:
        for reason in reasons:
            metrics.PARKED.labels(self._name, reason).inc()
            log.warning("event_parked", service=self._name, reason=reason)

    def _note(self, records: Sequence[Record]) -> None:
        ends = {(record.topic, record.partition): record.offset + 1 for record in records}
        done = {TopicPartition(*place): end for place, end in ends.items()}
        self._done.update(done)
        self.taken.update(done)


def _position(consumer: AIOKafkaConsumer, partition: TopicPartition) -> int | None:
    """Return the place of the next record that will be taken; nothing while it is not known yet."""
    state = consumer._subscription.subscription.assignment.state_value(partition)  # noqa: SLF001  the public call waits
    return state.position if state is not None and state.has_valid_position else None


def _lanes(records: Sequence[Record]) -> Sequence[Sequence[Record]]:
    """Return a batch in two halves by partition: while the database works at one the other is decided.

    The events of a stream lie in one partition, so each half keeps their order.
    """
    if len(records) < _WORTH_TWO:
        return (records,)
    even: list[Record] = []
    odd: list[Record] = []
    for record in records:
        (odd if record.partition & 1 else even).append(record)
    return [lane for lane in (even, odd) if lane]


async def together(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do works beside each other, all to their end, and raise what the first of them that failed raised."""
    for ended in await asyncio.gather(*works, return_exceptions=True):
        if ended is not None:
            raise ended


async def _unparsed(records: tuple[Record, ...], original: Any) -> KafkaMessage:
    """Let FastStream wrap a batch without reading it: one bad header must not keep it from us."""
    first = records[0]
    bare: Record = ConsumerRecord(
        topic=first.topic,
        partition=first.partition,
        offset=first.offset,
        timestamp=first.timestamp,
        timestamp_type=first.timestamp_type,
        key=None,
        value=b"",
        checksum=None,
        serialized_key_size=0,
        serialized_value_size=0,
        headers=(),
    )
    message: KafkaMessage = await original((bare,))
    message.raw_message = records
    return message


async def _undecoded(message: KafkaMessage) -> Any:
    return message
