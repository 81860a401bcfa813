"""Outbox relay: publish committed events in the order of their streams; one leader a service."""

import asyncio
import time

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from services.kernel import metrics
from services.kernel.decider.service import Service
from services.kernel.errors import ProblemError
from services.kernel.kafka.clients import close_producer, producer, start_client
from services.kernel.kafka.signals import Signals
from services.kernel.logging import log
from services.kernel.outbox.leadership import become_leader, leader_session, wait_for
from services.kernel.outbox.pending import NO_BATCH, PendingBatch, PendingEvents
from services.kernel.outbox.publisher import Publisher
from services.kernel.outbox.send_buffer import SendBuffer
from services.kernel.postgres.connections import CONNECTION_FAULTS, Session, is_transient
from services.kernel.postgres.timelines import later_timelines, register_timeline
from services.kernel.settings import Settings


class Relay:
    """Publishes committed events in order, and deletes from `pending` what the broker has acknowledged."""

    def __init__(self, service: Service, settings: Settings, signals: Signals) -> None:
        """Relay for one service; nothing is opened before `run`."""
        self._name = service.name
        self._settings = settings
        self._limits = settings.limits
        self._publisher = Publisher(service, settings, signals)
        self.buffer = SendBuffer()
        self._wakeup = self.buffer.wakeup
        self._stopping = asyncio.Event()
        self._alive_at = 0.0
        self.is_leader = False
        self.producer: AIOKafkaProducer | None = None

    @property
    def end_offsets(self) -> dict[int, int]:
        """Up to which offset this relay has written, by partition."""
        return self._publisher.end_offsets

    @property
    def batches_sent(self) -> int:
        """How many batches this relay has sent to this broker."""
        return self._publisher.batches_sent

    @property
    def is_idle(self) -> bool:
        """Whether this relay leads, and waits for the next commit."""
        return self.is_leader and not self._wakeup.is_set()

    def forget_broker(self) -> None:
        """Forget the progress on the topic: another, empty broker replaces the last one."""
        self._publisher.reset()

    def is_alive(self) -> bool:
        """Return whether this relay, leading or standing by, has completed a round lately."""
        return self._alive_at > 0 and time.monotonic() - self._alive_at < self._limits.relay_alive_seconds

    def stop(self) -> None:
        """End after the current round."""
        self._stopping.set()
        self._wakeup.set()

    async def run(self) -> None:
        """Relay until stopped; every failure is followed by a new session and a new producer."""
        while not self._stopping.is_set():
            try:
                await self._run_as_leader()
            except (KafkaError, ProblemError, TimeoutError) as fault:
                metrics.BROKER_UP.labels(self._name).set(0)
                log.warning("relay_failed", service=self._name, kind=type(fault).__name__)
            except CONNECTION_FAULTS as fault:
                if not is_transient(fault):
                    raise
                log.warning("relay_lost_connection", service=self._name, kind=type(fault).__name__)
            finally:
                self._step_down()
            if not self._stopping.is_set():
                metrics.RELAY_FAILURES.labels(self._name).inc()
                await wait_for(self._stopping, self._limits.relay_retry_seconds)

    def _step_down(self) -> None:
        self.is_leader, self.producer = False, None
        self.buffer.close()
        metrics.LEADER.labels(self._name).set(0)

    async def _run_as_leader(self) -> None:
        async with leader_session(self._name, self._settings) as session:
            if not await become_leader(
                session,
                self._name,
                self._stopping,
                retry_seconds=self._limits.relay_retry_seconds,
                on_attempt=self._record_alive,
            ):
                return
            sender = await start_client(producer(self._settings), self._settings)
            try:
                await self._lead(session, sender)
            finally:
                await close_producer(sender, self._limits.relay_close_seconds)

    async def _lead(self, session: Session, sender: AIOKafkaProducer) -> None:
        await register_timeline(session)
        pending = PendingEvents(session, self.buffer, await later_timelines(session), self._limits)
        self.buffer.open()
        self.is_leader, self.producer = True, sender
        metrics.LEADER.labels(self._name).set(1)
        metrics.BROKER_UP.labels(self._name).set(1)
        await self._send_loop(pending, sender)

    async def _send_loop(self, pending: PendingEvents, sender: AIOKafkaProducer) -> None:
        """Read, publish, and delete with the next read; where more is pending, read on while it is sent."""
        acknowledged = NO_BATCH
        while True:
            found, acknowledged = await self._read(pending, acknowledged, NO_BATCH), NO_BATCH
            whole = not found.has_more
            while found.has_more:
                found, acknowledged = (
                    await self._publish_and_read_on(pending, sender, acknowledged, found),
                    found,
                )
            if found.events:
                await self._publish(sender, found)
                acknowledged = acknowledged.plus(found)
            if whole:
                await self._publisher.publish_watermarks(sender, found.read_at)
            if acknowledged.first_ids:
                continue
            self._record_alive()
            if self._stopping.is_set():
                return
            await wait_for(self._wakeup, self._limits.relay_poll_seconds)

    async def _read(
        self, pending: PendingEvents, acknowledged: PendingBatch, in_flight: PendingBatch
    ) -> PendingBatch:
        # Cleared before the read: whatever is committed from here on wakes the relay again.
        self._wakeup.clear()
        return await pending.read(acknowledged, in_flight)

    async def _publish(self, sender: AIOKafkaProducer, batch: PendingBatch) -> None:
        await self._publisher.publish(sender, batch.events)
        self._record_alive()

    async def _publish_and_read_on(
        self,
        pending: PendingEvents,
        sender: AIOKafkaProducer,
        acknowledged: PendingBatch,
        batch: PendingBatch,
    ) -> PendingBatch:
        reading = asyncio.create_task(self._read(pending, acknowledged, batch))
        try:
            await self._publish(sender, batch)
            return await reading
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    def _record_alive(self) -> None:
        self._alive_at = time.monotonic()
