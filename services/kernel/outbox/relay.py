"""Send what was committed, in order for each stream; one leader a service."""

import asyncio
import contextlib
import time
import zlib
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from itertools import chain
from typing import Any, Final, NamedTuple

import asyncpg
import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from contracts.event import topic_of
from services.kernel import metrics
from services.kernel.clock import wall
from services.kernel.crash_points import crash_point
from services.kernel.decider.decision import SYSTEM
from services.kernel.decider.service import EventMetadata, Service
from services.kernel.errors import ProblemError
from services.kernel.ids import new_id
from services.kernel.kafka.clients import LARGEST_BATCH, producer, start_client
from services.kernel.kafka.cloudevents import OutgoingEvent
from services.kernel.kafka.partitioner import key_in, partition_of
from services.kernel.kafka.wakeups import SIGNALS
from services.kernel.logging import log
from services.kernel.outbox.event_timelines import with_timeline
from services.kernel.outbox.send_buffer import SendBuffer
from services.kernel.postgres.connections import (
    CONNECT_TIMEOUT_SECONDS,
    CONNECTION_FAULTS,
    Session,
    connect,
    is_transient,
)
from services.kernel.postgres.timelines import (
    TimelineStart,
    later_timelines,
    register_timeline,
)
from services.kernel.settings import Settings

_decode_meta = msgspec.json.Decoder(EventMetadata).decode

_ROWS: Final = 500
_EVENTS: Final = 2_000
_POLL_SECONDS: Final = 0.5
_POLL_ALONE_SECONDS: Final = 2.5
"""Whatever this process commits wakes its relay; what an operator queues from outside may wait a moment."""

_ACK_SECONDS: Final = 20.0
_SESSION_TIMEOUT: Final = "25s"
_CLOSE_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 1.0
_ALIVE_SECONDS: Final = 30.0


class EventTooLarge(ProblemError):
    """The broker took less than it was asked to."""


class PendingBatch(NamedTuple):
    """Pending rows with their events, whether more was left, and when the database was asked."""

    first_ids: Sequence[int]
    counts: Sequence[int]
    events: Sequence[OutgoingEvent]
    has_more: bool
    read_at: datetime

    def with_(self, other: "PendingBatch") -> "PendingBatch":
        """Return the rows of both, for them to be struck off."""
        return self._replace(
            first_ids=[*self.first_ids, *other.first_ids], counts=[*self.counts, *other.counts], events=()
        )


_NO_BATCH: Final = PendingBatch((), (), (), has_more=False, read_at=datetime.min)  # noqa: DTZ901  nobody reads its time


class Relay:
    """Sends what was committed, in order, and strikes off only what the broker has acknowledged."""

    def __init__(self, service: Service, settings: Settings) -> None:
        """Relay for one service; nothing is opened before `run`."""
        self._service = service
        self._settings = settings
        self._topic = topic_of(service.name)
        self._seconds = metrics.RELAY_SECONDS.labels(service.name)
        self._sent = metrics.SENT.labels(service.name)
        self._buffer = SendBuffer()
        self._timelines: Sequence[TimelineStart] = ()
        self._wakeup = asyncio.Event()
        self._stopping = asyncio.Event()
        self._watermark_sent_at = 0.0
        self._doubts = self._answered = 0
        self.is_leader = False
        self.producer: AIOKafkaProducer | None = None
        self.end_offsets: dict[int, int] = {}
        self.batches_sent = 0
        self._alive_at = 0.0

    def enqueue(self, committed: Sequence[tuple[int, OutgoingEvent]]) -> None:
        """Take events from memory that one transaction has just committed, and wake up.

        Who does not lead keeps none: they are another's to send.
        """
        if self.is_leader:
            self._buffer.add(committed)
        self._wakeup.set()

    def suspect_session(self) -> None:
        """Send nothing unread until the session has answered again: another database may be there by now."""
        self._doubts += 1

    def forget_broker(self) -> None:
        """Know no more how far the topic reaches and how many batches lie there: another broker begins."""
        self.end_offsets.clear()
        self.batches_sent = 0

    def is_alive(self) -> bool:
        """Return whether this relay, leading or standing by, has come round lately."""
        return self._alive_at > 0 and time.monotonic() - self._alive_at < _ALIVE_SECONDS

    def stop(self) -> None:
        """End after the round under way."""
        self._stopping.set()
        self._wakeup.set()

    async def run(self) -> None:
        """Relay until stopped; every failure is followed by a new session and a new producer."""
        while not self._stopping.is_set():
            try:
                await self._run_as_leader()
            except (KafkaError, ProblemError, TimeoutError) as fault:
                metrics.BROKER_UP.labels(self._service.name).set(0)
                log.warning("relay_failed", service=self._service.name, kind=type(fault).__name__)
            except CONNECTION_FAULTS as fault:
                if not is_transient(fault):
                    raise
                log.warning("relay_lost_connection", service=self._service.name, kind=type(fault).__name__)
            finally:
                self._step_down()
            if not self._stopping.is_set():
                metrics.RELAY_FAILURES.labels(self._service.name).inc()
                await asyncio.sleep(_PAUSE_SECONDS)

    def _step_down(self) -> None:
        self.is_leader, self.producer = False, None
        self._buffer.clear()
        metrics.LEADER.labels(self._service.name).set(0)

    async def _run_as_leader(self) -> None:
        dsn = self._settings.database.get_secret_value()
        # A lost delete only sends again, so this session need not wait for the disk.
        session = await connect(
            dsn,
            schema=self._service.name,
            command_timeout=CONNECT_TIMEOUT_SECONDS,
            synchronous_commit="off",
            idle_session_timeout=_SESSION_TIMEOUT,  # a leader that sleeps loses the lead
        )
        try:
            lock = zlib.crc32(f"samspil relay {self._service.name}".encode())
            while not await session.fetchval("select pg_try_advisory_lock($1)", lock):
                self._alive_at = time.monotonic()
                # What is committed meanwhile is the leader's to send, and wakes nobody here.
                await _within(self._stopping, _PAUSE_SECONDS)
                if self._stopping.is_set():
                    return
            sender = await start_client(producer(self._settings), self._settings)
            try:
                await register_timeline(session)
                self._timelines = await later_timelines(session)
                self.is_leader, self.producer = True, sender
                metrics.LEADER.labels(self._service.name).set(1)
                metrics.BROKER_UP.labels(self._service.name).set(1)
                await self._send_loop(session, sender)
            finally:
                await _close_producer(sender)
        finally:
            await _close_session(session)

    async def _send_loop(self, session: Session, sender: AIOKafkaProducer) -> None:
        """Send what may go at once, read what else there is, send it, and strike off at the next reading.

        Where much is left, read on while it is sent.
        """
        sent = _NO_BATCH
        while True:
            fresh = self._take_sendable()
            if fresh.events:
                await self._publish(sender, fresh)
                sent = sent.with_(fresh)
            found, sent = await self._read(session, sent, _NO_BATCH), _NO_BATCH
            whole = not found.has_more
            while found.has_more:
                found, sent = await self._send_and_read_on(session, sender, sent, found), found
            if found.events:
                await self._publish(sender, found)
                sent = sent.with_(found)
            if whole:
                await self._send_watermarks(sender, found.read_at)
            if sent.first_ids:
                continue
            self._alive_at = time.monotonic()
            if self._stopping.is_set():
                return
            await _within(self._wakeup, _POLL_ALONE_SECONDS if self._settings.alone else _POLL_SECONDS)

    async def _send_and_read_on(
        self, session: Session, sender: AIOKafkaProducer, sent: PendingBatch, found: PendingBatch
    ) -> PendingBatch:
        reading = asyncio.create_task(self._read(session, sent, found))
        try:
            await self._publish(sender, found)
            return await reading
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    def _take_sendable(self) -> PendingBatch:
        """Return what was just committed here and may be sent before it is read."""
        if self._answered != self._doubts:
            return _NO_BATCH
        first_ids: list[int] = []
        counts: list[int] = []
        events: list[OutgoingEvent] = []
        for committed in self._buffer.take_next(_EVENTS):
            first_ids.append(committed[0][0])
            counts.append(len(committed))
            events += [self._with_timeline(*one) for one in committed]
        return PendingBatch(first_ids, counts, events, has_more=False, read_at=_NO_BATCH.read_at)

    async def _read(self, session: Session, sent: PendingBatch, under_way: PendingBatch) -> PendingBatch:
        """Strike off what was acknowledged, and return what comes next behind what is under way."""
        self._wakeup.clear()
        asked_at, doubts = wall(), self._doubts
        rows = await session.fetch(
            DELETE_SENT_FETCH_NEXT, sent.first_ids, sent.counts, _ROWS, under_way.first_ids
        )
        self._answered = doubts
        crash_point("delete.after")
        few = _first_rows(rows)
        return PendingBatch(
            [row["first_id"] for row in few],
            [len(row["ids"]) for row in few],
            await self._events(session, few) if few else [],
            len(few) < len(rows) or len(rows) == _ROWS,
            asked_at,
        )

    async def _publish(self, producer: AIOKafkaProducer, portion: PendingBatch) -> None:
        started_at = time.perf_counter()
        crash_point("publish.before")
        await self._send(producer, portion.events)
        crash_point("publish.after")
        SIGNALS.notify(self._topic, self.end_offsets)
        self._buffer.note(portion.events)
        self._seconds.observe(time.perf_counter() - started_at)
        self._sent.inc(len(portion.events))
        self._alive_at = time.monotonic()
        crash_point("delete.before")

    def _with_timeline(self, log_id: int, event: OutgoingEvent) -> OutgoingEvent:
        return with_timeline(event, log_id, self._timelines) if self._timelines else event

    async def _events(self, session: Session, rows: Sequence[asyncpg.Record]) -> list[OutgoingEvent]:
        """Return the events of pending rows in order, from memory or, where unknown there, from the log."""
        ids = [log_id for row in rows for log_id in row["ids"]]
        take = self._buffer.pop
        found: dict[int, OutgoingEvent] = {}
        unknown: list[int] = []
        for log_id in ids:
            told = take(log_id)
            if told is None:
                unknown.append(log_id)
            else:
                found[log_id] = told
        if unknown:
            days = sorted({row["created_on"] for row in rows})
            logged = await session.fetch(_LOGGED, unknown, days[0], days[-1])
            found.update({row[0]: from_log(row) for row in logged})
        if self._timelines:
            return [self._with_timeline(log_id, found[log_id]) for log_id in ids]
        return [found[log_id] for log_id in ids]

    async def _send(self, producer: AIOKafkaProducer, events: Sequence[OutgoingEvent]) -> None:
        """Send per partition and in order; return when all is acknowledged."""
        partitions = self._settings.partitions
        lanes: dict[int, list[OutgoingEvent]] = defaultdict(list)
        for told in events:
            lanes[partition_of(told.key.encode(), partitions)].append(told)
        async with asyncio.timeout(_ACK_SECONDS):
            if len(lanes) == 1:
                ((partition, lane),) = lanes.items()
                await self._send_partition(producer, partition, lane)
            else:
                await asyncio.gather(*(self._send_partition(producer, *one) for one in lanes.items()))

    async def _send_partition(
        self, sender: AIOKafkaProducer, partition: int, lane: Sequence[OutgoingEvent]
    ) -> None:
        # The next batch of a lane waits for the last one's acknowledgement: a batch that fails must not be
        # overtaken, whatever the broker promises.
        batch = sender.create_batch()
        for told in lane:
            message = told.message()
            if batch.append(key=message.key, value=message.value, timestamp=None, headers=message.headers):
                continue
            await self._send_batch(sender, batch, partition)
            batch = sender.create_batch()
            if not batch.append(
                key=message.key, value=message.value, timestamp=None, headers=message.headers
            ):
                raise EventTooLarge(f"one event of type {message.type} is larger than {LARGEST_BATCH} bytes")
        await self._send_batch(sender, batch, partition)

    async def _send_batch(self, sender: AIOKafkaProducer, batch: Any, partition: int) -> None:
        count = batch.record_count()
        done = await (await sender.send_batch(batch, self._topic, partition=partition))
        self.end_offsets[partition] = done.offset + count
        self.batches_sent += 1
        crash_point("publish.between")

    async def _send_watermarks(self, sender: AIOKafkaProducer, at: datetime) -> None:
        """Say, down each partition, that all that was committed before `at` stands before this."""
        kind = self._service.watermark_event
        if kind is None or time.monotonic() - self._watermark_sent_at < self._settings.tick_seconds:
            return
        self._watermark_sent_at = time.monotonic()
        count = self._settings.partitions
        cause = str(new_id())
        meta = EventMetadata(at, str(SYSTEM), "system", cause, cause)
        ticks: list[OutgoingEvent] = []
        for partition in range(count):
            body = kind(partition=partition, at=at)
            subject = key_in(partition, count, self._service.name)
            ticks.append(
                OutgoingEvent(
                    str(new_id()), subject, 0, "0000", kind.type, meta, body.model_dump_json().encode()
                )
            )
        await self._send(sender, ticks)
        SIGNALS.notify(self._topic, self.end_offsets)


async def _within(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, at most a while."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


async def _close_session(session: Session) -> None:
    """End a session; that it does not end in time must not take the place of an order to end."""
    if session.is_closed():
        session.terminate()
        return
    with contextlib.suppress(*CONNECTION_FAULTS):
        await session.close(timeout=_CLOSE_SECONDS)


async def _close_producer(sender: AIOKafkaProducer) -> None:
    """Stop a producer; what it cannot deliver in time is given up, since all of it is still pending.

    A producer that is left tries for ever, and would send to a broker that has taken the place of its own.
    """
    try:
        async with asyncio.timeout(_CLOSE_SECONDS):
            await sender.stop()
    except (TimeoutError, KafkaError):
        log.warning("producer_abandoned")
        held = sender._message_accumulator  # noqa: SLF001  it has no other way
        for batch in (*chain.from_iterable(held._batches.values()), *held._pending_batches):  # noqa: SLF001
            batch.future.cancel()
        sender._sender.sender_task.cancel()  # noqa: SLF001  the same
        await sender.client.close()


def _first_rows(rows: Sequence[asyncpg.Record]) -> Sequence[asyncpg.Record]:
    """Return the first rows, of about as many events as one round should send."""
    events = 0
    for n, row in enumerate(rows):
        events += len(row["ids"])
        if events >= _EVENTS:
            return rows[: n + 1]
    return rows


def from_log(row: asyncpg.Record) -> OutgoingEvent:
    """Return an event from the log, the same to the byte as when it was first made.

    A row has `id, event_id, stream_id, seq, tenant, type, meta, data`, in this order.
    """
    _, event_id, stream_id, seq, tenant, kind, meta, data = row
    return OutgoingEvent(str(event_id), str(stream_id), seq, tenant, kind, _decode_meta(meta), data.encode())


# A row that has grown since it was read holds what was queued again meanwhile: it stays, for the next round.
DELETE_SENT_FETCH_NEXT: Final = """
with gone as (
  delete from pending using unnest($1::bigint[], $2::integer[]) as sent (first_id, events)
  where pending.first_id = sent.first_id and cardinality(pending.ids) = sent.events
)
select first_id, created_on, ids from pending
where first_id <> all($1::bigint[]) and first_id <> all($4::bigint[]) order by first_id limit $3
"""

_LOGGED: Final = """
select id, event_id::text, stream_id::text, seq, tenant, type, meta, data from event_log
where id = any($1::bigint[]) and created_on between $2 and $3
"""
