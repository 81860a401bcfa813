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
from services.kernel.decider.service import Service
from services.kernel.errors import No
from services.kernel.ids import new_id
from services.kernel.kafka.clients import LARGEST_BATCH, producer, started
from services.kernel.kafka.cloudevents import Meta, Told
from services.kernel.kafka.partitioner import key_in, partition_of
from services.kernel.kafka.wakeups import BELLS
from services.kernel.logging import log
from services.kernel.outbox.send_buffer import Outgoing
from services.kernel.postgres.connections import CONNECTION_FAULTS, PATIENCE_SECONDS, Session, connect, passes
from services.kernel.postgres.timelines import Fork, dated, enter, forks
from services.kernel.settings import Settings

_decode_meta = msgspec.json.Decoder(Meta).decode

_ROWS: Final = 500
_EVENTS: Final = 2_000
_POLL_SECONDS: Final = 0.5
_POLL_ALONE_SECONDS: Final = 2.5
"""Whatever this process commits wakes its relay; what an operator queues from outside may wait a moment."""

_ACK_SECONDS: Final = 20.0
_LEAD_LASTS: Final = "25s"
_LEAVE_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 1.0
_ALIVE_SECONDS: Final = 30.0


class Unsendable(No):
    """The broker took less than it was asked to."""


class Portion(NamedTuple):
    """Pending rows with their events, whether more was left, and when the database was asked."""

    first_ids: Sequence[int]
    counts: Sequence[int]
    events: Sequence[Told]
    full: bool
    asked_at: datetime

    def with_(self, other: "Portion") -> "Portion":
        """Return the rows of both, for them to be struck off."""
        return self._replace(
            first_ids=[*self.first_ids, *other.first_ids], counts=[*self.counts, *other.counts], events=()
        )


_NOTHING: Final = Portion((), (), (), full=False, asked_at=datetime.min)  # noqa: DTZ901  nobody reads its time


class Relay:
    """Sends what was committed, in order, and strikes off only what the broker has acknowledged."""

    def __init__(self, service: Service, settings: Settings) -> None:
        """Relay for one service; nothing is opened before `run`."""
        self._service = service
        self._settings = settings
        self._topic = topic_of(service.name)
        self._seconds = metrics.RELAY_SECONDS.labels(service.name)
        self._sent = metrics.SENT.labels(service.name)
        self._outgoing = Outgoing()
        self._forks: Sequence[Fork] = ()
        self._kick = asyncio.Event()
        self._stopping = asyncio.Event()
        self._ticked = 0.0
        self._doubts = self._answered = 0
        self.leads = False
        self.sender: AIOKafkaProducer | None = None
        self.reached: dict[int, int] = {}
        self.batches = 0
        self._alive_at = 0.0

    def tell(self, committed: Sequence[tuple[int, Told]]) -> None:
        """Take events from memory that one transaction has just committed, and wake up.

        Who does not lead keeps none: they are another's to send.
        """
        if self.leads:
            self._outgoing.put(committed)
        self._kick.set()

    def doubt(self) -> None:
        """Send nothing unread until the session has answered again: another database may be there by now."""
        self._doubts += 1

    def forget_broker(self) -> None:
        """Know no more how far the topic reaches and how many batches lie there: another broker begins."""
        self.reached.clear()
        self.batches = 0

    def works(self) -> bool:
        """Return whether this relay, leading or standing by, has come round lately."""
        return self._alive_at > 0 and time.monotonic() - self._alive_at < _ALIVE_SECONDS

    def stop(self) -> None:
        """End after the round under way."""
        self._stopping.set()
        self._kick.set()

    async def run(self) -> None:
        """Relay until stopped; every failure is followed by a new session and a new producer."""
        while not self._stopping.is_set():
            try:
                await self._lead()
            except (KafkaError, No, TimeoutError) as fault:
                metrics.BROKER_UP.labels(self._service.name).set(0)
                log.warning("relay_failed", service=self._service.name, kind=type(fault).__name__)
            except CONNECTION_FAULTS as fault:
                if not passes(fault):
                    raise
                log.warning("relay_lost_database", service=self._service.name, kind=type(fault).__name__)
            finally:
                self._lose()
            if not self._stopping.is_set():
                metrics.RELAY_FAILURES.labels(self._service.name).inc()
                await asyncio.sleep(_PAUSE_SECONDS)

    def _lose(self) -> None:
        self.leads, self.sender = False, None
        self._outgoing.begin()
        metrics.LEADER.labels(self._service.name).set(0)

    async def _lead(self) -> None:
        dsn = self._settings.database.get_secret_value()
        # A lost delete only sends again, so this session need not wait for the disk.
        session = await connect(
            dsn,
            schema=self._service.name,
            patience=PATIENCE_SECONDS,
            synchronous_commit="off",
            idle_session_timeout=_LEAD_LASTS,  # a leader that sleeps loses the lead
        )
        try:
            lock = zlib.crc32(f"samspil relay {self._service.name}".encode())
            while not await session.fetchval("select pg_try_advisory_lock($1)", lock):
                self._alive_at = time.monotonic()
                # What is committed meanwhile is the leader's to send, and wakes nobody here.
                await _within(self._stopping, _PAUSE_SECONDS)
                if self._stopping.is_set():
                    return
            sender = await started(producer(self._settings), self._settings)
            try:
                await enter(session)
                self._forks = await forks(session)
                self.leads, self.sender = True, sender
                metrics.LEADER.labels(self._service.name).set(1)
                metrics.BROKER_UP.labels(self._service.name).set(1)
                await self._rounds(session, sender)
            finally:
                await _close(sender)
        finally:
            await _leave(session)

    async def _rounds(self, session: Session, sender: AIOKafkaProducer) -> None:
        """Send what may go at once, read what else there is, send it, and strike off at the next reading.

        Where much is left, read on while it is sent.
        """
        sent = _NOTHING
        while True:
            fresh = self._at_once()
            if fresh.events:
                await self._publish(sender, fresh)
                sent = sent.with_(fresh)
            found, sent = await self._read(session, sent, _NOTHING), _NOTHING
            whole = not found.full
            while found.full:
                found, sent = await self._send_and_read_on(session, sender, sent, found), found
            if found.events:
                await self._publish(sender, found)
                sent = sent.with_(found)
            if whole:
                await self._tick(sender, found.asked_at)
            if sent.first_ids:
                continue
            self._alive_at = time.monotonic()
            if self._stopping.is_set():
                return
            await _within(self._kick, _POLL_ALONE_SECONDS if self._settings.alone else _POLL_SECONDS)

    async def _send_and_read_on(
        self, session: Session, sender: AIOKafkaProducer, sent: Portion, found: Portion
    ) -> Portion:
        reading = asyncio.create_task(self._read(session, sent, found))
        try:
            await self._publish(sender, found)
            return await reading
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    def _at_once(self) -> Portion:
        """Return what was just committed here and may be sent before it is read."""
        if self._answered != self._doubts:
            return _NOTHING
        first_ids: list[int] = []
        counts: list[int] = []
        events: list[Told] = []
        for committed in self._outgoing.take_next(_EVENTS):
            first_ids.append(committed[0][0])
            counts.append(len(committed))
            events += [self._dated(*one) for one in committed]
        return Portion(first_ids, counts, events, full=False, asked_at=_NOTHING.asked_at)

    async def _read(self, session: Session, sent: Portion, under_way: Portion) -> Portion:
        """Strike off what was acknowledged, and return what comes next behind what is under way."""
        self._kick.clear()
        asked_at, doubts = wall(), self._doubts
        rows = await session.fetch(NEXT, sent.first_ids, sent.counts, _ROWS, under_way.first_ids)
        self._answered = doubts
        crash_point("delete.after")
        few = _portion(rows)
        return Portion(
            [row["first_id"] for row in few],
            [len(row["ids"]) for row in few],
            await self._events(session, few) if few else [],
            len(few) < len(rows) or len(rows) == _ROWS,
            asked_at,
        )

    async def _publish(self, sender: AIOKafkaProducer, portion: Portion) -> None:
        started_at = time.perf_counter()
        crash_point("publish.before")
        await self._send(sender, portion.events)
        crash_point("publish.after")
        BELLS.ring(self._topic, self.reached)
        self._outgoing.note(portion.events)
        self._seconds.observe(time.perf_counter() - started_at)
        self._sent.inc(len(portion.events))
        self._alive_at = time.monotonic()
        crash_point("delete.before")

    def _dated(self, log_id: int, told: Told) -> Told:
        return dated(told, log_id, self._forks) if self._forks else told

    async def _events(self, session: Session, rows: Sequence[asyncpg.Record]) -> list[Told]:
        """Return the events of pending rows in order, from memory or, where unknown there, from the log."""
        ids = [log_id for row in rows for log_id in row["ids"]]
        take = self._outgoing.take
        found: dict[int, Told] = {}
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
        if self._forks:
            return [self._dated(log_id, found[log_id]) for log_id in ids]
        return [found[log_id] for log_id in ids]

    async def _send(self, sender: AIOKafkaProducer, events: Sequence[Told]) -> None:
        """Send per partition and in order; return when all is acknowledged."""
        partitions = self._settings.partitions
        lanes: dict[int, list[Told]] = defaultdict(list)
        for told in events:
            lanes[partition_of(told.key.encode(), partitions)].append(told)
        async with asyncio.timeout(_ACK_SECONDS):
            if len(lanes) == 1:
                ((partition, lane),) = lanes.items()
                await self._send_lane(sender, partition, lane)
            else:
                await asyncio.gather(*(self._send_lane(sender, *one) for one in lanes.items()))

    async def _send_lane(self, sender: AIOKafkaProducer, partition: int, lane: Sequence[Told]) -> None:
        # The next batch of a lane waits for the last one's acknowledgement: a batch that fails must not be
        # overtaken, whatever the broker promises.
        batch = sender.create_batch()
        for told in lane:
            message = told.message()
            if batch.append(key=message.key, value=message.value, timestamp=None, headers=message.headers):
                continue
            await self._acknowledged(sender, batch, partition)
            batch = sender.create_batch()
            if not batch.append(
                key=message.key, value=message.value, timestamp=None, headers=message.headers
            ):
                raise Unsendable(f"one event of type {message.type} is larger than {LARGEST_BATCH} bytes")
        await self._acknowledged(sender, batch, partition)

    async def _acknowledged(self, sender: AIOKafkaProducer, batch: Any, partition: int) -> None:
        count = batch.record_count()
        done = await (await sender.send_batch(batch, self._topic, partition=partition))
        self.reached[partition] = done.offset + count
        self.batches += 1
        crash_point("publish.between")

    async def _tick(self, sender: AIOKafkaProducer, at: datetime) -> None:
        """Say, down each partition, that all that was committed before `at` stands before this."""
        kind = self._service.ticks
        if kind is None or time.monotonic() - self._ticked < self._settings.tick_seconds:
            return
        self._ticked = time.monotonic()
        count = self._settings.partitions
        cause = str(new_id())
        meta = Meta(at, str(SYSTEM), "system", cause, cause)
        ticks: list[Told] = []
        for partition in range(count):
            body = kind(partition=partition, at=at)
            subject = key_in(partition, count, self._service.name)
            ticks.append(
                Told(str(new_id()), subject, 0, "0000", kind.type, meta, body.model_dump_json().encode())
            )
        await self._send(sender, ticks)
        BELLS.ring(self._topic, self.reached)


async def _within(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, at most a while."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


async def _leave(session: Session) -> None:
    """End a session; that it does not end in time must not take the place of an order to end."""
    if session.is_closed():
        session.terminate()
        return
    with contextlib.suppress(*CONNECTION_FAULTS):
        await session.close(timeout=_LEAVE_SECONDS)


async def _close(sender: AIOKafkaProducer) -> None:
    """Stop a producer; what it cannot deliver in time is given up, since all of it is still pending.

    A producer that is left tries for ever, and would send to a broker that has taken the place of its own.
    """
    try:
        async with asyncio.timeout(_LEAVE_SECONDS):
            await sender.stop()
    except (TimeoutError, KafkaError):
        log.warning("producer_given_up")
        held = sender._message_accumulator  # noqa: SLF001  it has no other way
        for batch in (*chain.from_iterable(held._batches.values()), *held._pending_batches):  # noqa: SLF001
            batch.future.cancel()
        sender._sender.sender_task.cancel()  # noqa: SLF001  the same
        await sender.client.close()


def _portion(rows: Sequence[asyncpg.Record]) -> Sequence[asyncpg.Record]:
    """Return the first rows, of about as many events as one round should send."""
    events = 0
    for n, row in enumerate(rows):
        events += len(row["ids"])
        if events >= _EVENTS:
            return rows[: n + 1]
    return rows


def from_log(row: asyncpg.Record) -> Told:
    """Return an event from the log, the same to the byte as when it was first made.

    A row has `id, event_id, stream_id, seq, tenant, type, meta, data`, in this order.
    """
    _, event_id, stream_id, seq, tenant, kind, meta, data = row
    return Told(str(event_id), str(stream_id), seq, tenant, kind, _decode_meta(meta), data.encode())


# A row that has grown since it was read holds what was queued again meanwhile: it stays, for the next round.
NEXT: Final = """
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
