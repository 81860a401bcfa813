"""One running service: its connections, its loops, and the truth about whether it may be used."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import asyncpg

from contracts.model import CollaborationModel
from services.kernel import metrics
from services.kernel.clock import Clock
from services.kernel.consumer.consumer import EventConsumer
from services.kernel.crash_points import arm_crash
from services.kernel.decider.service import Service
from services.kernel.effects.worker import EffectWorker
from services.kernel.kafka.clients import broker_responds, is_open
from services.kernel.kafka.cloudevents import OutgoingEvent
from services.kernel.logging import log
from services.kernel.outbox.log_retention import LogRetention
from services.kernel.outbox.relay import Relay
from services.kernel.postgres.connections import CONNECTION_FAULTS, is_transient, open_pool
from services.kernel.postgres.migrations import make_partitions, missing_migrations
from services.kernel.privacy.encryption import Keyring
from services.kernel.privacy.key_store import KeyStore
from services.kernel.privacy.request_digests import RequestDigests
from services.kernel.runtime.gauges import DatabaseGauges
from services.kernel.scheduling.timers import Timers
from services.kernel.settings import Settings
from services.kernel.streams.cache import StreamCache
from services.kernel.streams.consent_watermark import ConsentWatermark
from services.kernel.streams.processor import BatchProcessor, Dependencies

_MEASURE_SECONDS: Final = 5.0
_HOUSEKEEPING_SECONDS: Final = 3600.0
_RESTART_SECONDS: Final = 0.5
_STOP_SECONDS: Final = 20.0
_LONGEST_RESTART_SECONDS: Final = 8.0
_CACHED_STREAMS: Final = 10_000
"""How many streams a service keeps in mind; a few kilobytes each."""


class Runtime:
    """Runs one service until it is stopped."""

    def __init__(
        self,
        service: Service,
        settings: Settings,
        *,
        clock: Clock,
        models: Mapping[str, CollaborationModel],
        key_store: KeyStore,
    ) -> None:
        """Prepare; nothing is opened before `start`."""
        arm_crash(settings.mode)
        self.service = service
        self.settings = settings
        self.clock = clock
        self.models = models
        self._kms = key_store
        self.request_digests = RequestDigests(key_store)
        self._stopping = asyncio.Event()
        self._broker_responds = True
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, *, run_loops: bool = True) -> None:
        """Open the database and start the loops; without `listen` only commands can be given.

        Raises `KeyStoreBroken`, with nothing left open, where the key store is not that of this database.
        """
        dsn = self.settings.database.get_secret_value()
        recent = StreamCache(_CACHED_STREAMS)
        self.relay = Relay(self.service, self.settings)

        def connected() -> None:
            recent.clear()
            self.relay.suspect_session()

        self.pool = await open_pool(
            dsn, schema=self.service.name, size=self.settings.pool, on_connect=connected
        )
        needed = "consent" in self.service.sources and not self.service.subscribes_to_all
        horizon = ConsentWatermark(
            needed=needed,
            partitions=self.settings.partitions,
            seconds=self.settings.horizon_seconds,
        )
        keyring = Keyring(self.service.name, self._kms)
        await self._verify_key_store(keyring)
        known = Dependencies(keyring, self.models, horizon, self.clock.now)
        self.processor = BatchProcessor(self.service, known, self._on_committed, recent)
        self.timers = Timers(self.processor, self.pool, self.clock)
        self.effects = EffectWorker(self.processor, self.pool, self.clock, self.settings)
        self.gauges = DatabaseGauges(
            self.service, self.pool, ticking=self.settings.partitions if needed else 0
        )
        self.log_retention = LogRetention(self.service, self.settings, self.pool, self.relay)
        self.consumer: EventConsumer | None = None
        if run_loops:
            await self.start_loops()

    async def _verify_key_store(self, keyring: Keyring) -> None:
        try:
            async with self.pool.acquire() as tx:
                await keyring.verify_key_store(tx)
        except asyncpg.UndefinedTableError:  # nothing is prepared yet, as readiness tells
            return
        except BaseException:
            self.pool.terminate()
            raise

    def _on_committed(self, committed: Sequence[tuple[int, OutgoingEvent]]) -> None:
        self.relay.enqueue(committed)
        self.effects.wake()

    async def start_loops(self) -> None:
        """Start the loops: relay, intake, timers, effects, measures."""
        self.connect_broker()
        self._supervise("timers", lambda: self.timers.run(self._stopping))
        if self.service.effect_handlers:
            self._supervise("effects", lambda: self.effects.run(self._stopping))
        self._supervise("housekeeping", self._housekeeping)

    async def _consume(self) -> None:
        stopped_by = self.consumer.stopped_by if self.consumer else None  # another broker makes nothing good
        self.consumer = EventConsumer(self.processor, self.pool, self.settings)
        self.consumer.stopped_by = stopped_by
        try:
            await self.consumer.start()
            await self.consumer.commit_loop()
        finally:
            await self.consumer.stop()

    async def disconnect_broker(self) -> None:
        """Turn away from the broker, for another to take its place; commands go on meanwhile."""
        await self._stop_gauges()
        await asyncio.gather(self._stop_loop("intake", cancel=True), self.stop_relay())

    async def stop_relay(self) -> None:
        """Send nothing more; what was sent is still heard."""
        await self._stop_loop("relay", cancel=True)

    def connect_broker(self) -> None:
        """Turn to a broker. Until now what was sent to the last one and not heard was still to be heard."""
        self.relay.forget_broker()
        self._supervise("measures", self._refresh_gauges)
        self._supervise("relay", self.relay.run)
        if self.service.subscribes_to or self.service.subscribes_to_all:
            self._supervise("intake", self._consume)

    async def stop(self) -> None:
        """Finish what is under way, then close; what is not finished is in the database."""
        self._stopping.set()
        if "processor" not in vars(self):  # the database did not answer when it was to start
            return
        await self._stop_gauges()
        self.effects.wake()
        # A mail that was sent and not marked would be sent again: it is not cancelled.
        await asyncio.gather(self._stop_loop("intake", cancel=True), self._stop_loop("effects"))
        self.relay.stop()
        await self._stop_loop("relay")
        names = {task.get_name() for task in self._tasks}
        await asyncio.gather(*(self._stop_loop(name, cancel=True) for name in names))
        try:
            async with asyncio.timeout(5):
                await self.pool.close()
        except TimeoutError:
            self.pool.terminate()

    async def _stop_gauges(self) -> None:
        """End first who asks over the others' clients: asked once it is closed, a client opens again."""
        await self._stop_loop("measures", cancel=True)

    async def _stop_loop(self, name: str, *, cancel: bool = False) -> None:
        """Wait, within bounds, until a loop has ended what it is at; `cancel` tells it to."""
        tasks = [task for task in self._tasks if task.get_name() == name]
        if cancel:
            for task in tasks:
                task.cancel()
        if tasks and (await asyncio.wait(tasks, timeout=_STOP_SECONDS))[1]:
            log.warning("loop_still_running", service=self.service.name, loop=name)
        self._tasks = [task for task in self._tasks if not task.done()]

    def _supervise(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        self._tasks.append(asyncio.create_task(self._restart_loop(name, work), name=name))

    async def _restart_loop(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run a loop for as long as the service lives; a loop that breaks is said and started again."""
        pause = _RESTART_SECONDS
        while not self._stopping.is_set():
            try:
                await work()
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                # Somebody else was told to end, whom this loop waited for: it would end unheard.
                log.error("loop_failed", service=self.service.name, loop=name, kind="CancelledError")
            except Exception as fault:  # noqa: BLE001  the runner: the one place where everything ends
                log.error("loop_failed", service=self.service.name, loop=name, kind=type(fault).__name__)
                pause = min(pause * 2, _LONGEST_RESTART_SECONDS)
            await asyncio.sleep(pause)

    async def unready_reasons(self) -> dict[str, str]:
        """Return what keeps this service from being used, by part; nothing when it may be used."""
        reasons: dict[str, str] = {}
        try:
            async with asyncio.timeout(3), self.pool.acquire() as tx:
                missing = await missing_migrations(tx, self.service)
            metrics.DATABASE_UP.labels(self.service.name).set(1)
            if missing:
                reasons["database"] = f"migrations have not run: {', '.join(missing)}"
        except CONNECTION_FAULTS as fault:
            metrics.DATABASE_UP.labels(self.service.name).set(0)
            reasons["database"] = f"does not answer ({type(fault).__name__})"
        if not self._broker_responds:
            reasons["broker"] = "does not answer"
        if not self.relay.is_alive():
            reasons["relay"] = "has not reached the broker, nor is another process known to"
        if self.consumer is not None:
            reasons.update(self.consumer.unready_reasons())
        elif self.service.subscribes_to or self.service.subscribes_to_all:
            reasons["intake"] = "has not begun"
        metrics.READY.labels(self.service.name).set(not reasons)
        return reasons

    async def has_pending_work(self) -> bool:
        """Return whether anything waits here to be sent or has fallen due."""
        found: bool = await self.pool.fetchval(_HAS_PENDING_WORK, self.clock.now())
        return found

    async def _refresh_gauges(self) -> None:
        while True:
            try:
                await self.gauges.refresh(self.clock.now())
            except Exception as fault:
                if not is_transient(fault):
                    raise
                log.warning("gauges_not_refreshed", service=self.service.name, kind=type(fault).__name__)
            await self._check_broker()
            await self.unready_reasons()
            await asyncio.sleep(_MEASURE_SECONDS)

    async def _check_broker(self) -> None:
        """Ask over a connection that is there already; who has none, and does not try, cannot tell."""
        sender, intake = self.relay.producer, self.consumer
        consumer = intake.consumer if intake and intake.joined else None  # else it may know no broker yet
        client = sender.client if sender else consumer and consumer._client  # noqa: SLF001  it has no other way
        if client is None or not is_open(client):
            return
        self._broker_responds = await broker_responds(client)
        metrics.BROKER_UP.labels(self.service.name).set(self._broker_responds)
        if self._broker_responds and intake:
            await intake.refresh_end_offsets()

    async def _housekeeping(self) -> None:
        while True:
            async with self.pool.acquire() as tx:
                await make_partitions(tx)
                await tx.execute(_DELETE_OLD_KEYS)
            await self.log_retention.run_once()
            await asyncio.sleep(_HOUSEKEEPING_SECONDS)


_DELETE_OLD_KEYS: Final = "delete from idempotency_keys where created_at < now() - interval '30 days'"

_HAS_PENDING_WORK: Final = """
select exists (select from pending) or exists (select from timers where due_at <= $1)
"""
