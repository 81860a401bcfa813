"""Runtime of one service: its connections, its supervised loops, and its readiness."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import asyncpg
from pydantic import SecretStr

from contracts.event import Ticked
from contracts.model import CollaborationModel
from services.kernel import metrics
from services.kernel.clock import Clock
from services.kernel.consumer.consumer import EventConsumer
from services.kernel.crash_points import arm_crash
from services.kernel.decider.service import Service
from services.kernel.effects.worker import EffectWorker
from services.kernel.kafka.clients import broker_responds, is_open
from services.kernel.kafka.signals import NO_SIGNALS, Signals
from services.kernel.logging import log
from services.kernel.outbox.log_retention import LogRetention
from services.kernel.outbox.relay import Relay
from services.kernel.postgres.connections import CONNECTION_FAULTS, Pool, is_transient, open_pool
from services.kernel.postgres.migrations import make_partitions, missing_migrations
from services.kernel.postgres.roles import logins_of
from services.kernel.privacy.encryption import Keyring
from services.kernel.privacy.key_store import KeyStore
from services.kernel.privacy.keyed_digests import KeyedDigests
from services.kernel.runtime.access_log import AccessLog
from services.kernel.runtime.gauges import DatabaseGauges
from services.kernel.scheduling.timers import Timers
from services.kernel.settings import Settings, SettingsFault
from services.kernel.streams.cache import StreamCache
from services.kernel.streams.consent_watermark import ConsentWatermark
from services.kernel.streams.processor import BatchProcessor, Dependencies

_HOUSEKEEPING_SECONDS: Final = 3600.0
_RESTART_SECONDS: Final = 0.5
_STOP_SECONDS: Final = 20.0
_CLOSE_SECONDS: Final = 5.0
_LONGEST_RESTART_SECONDS: Final = 8.0
_CACHED_STREAMS: Final = 10_000
"""How many streams a service caches; a few kilobytes each."""


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
        signals: Signals = NO_SIGNALS,
    ) -> None:
        """Prepare; nothing is opened before `start`. `signals` wake the consumers of the same process."""
        arm_crash(settings.mode)
        self.service = service
        self.settings = settings
        self.clock = clock
        self.models = models
        self.key_store = key_store.for_service(service.name)
        self._signals = signals
        self.keyed_digests = KeyedDigests(self.key_store)
        self._stopping = asyncio.Event()
        self._broker_responds = True
        self._tasks: list[asyncio.Task[None]] = []
        self._pools: list[Pool] = []
        self._serves_requests = False

    async def start(self, *, run_loops: bool = True, serve_requests: bool = True) -> None:
        """Open the database and start the loops; without `run_loops` only commands are processed.

        `pool` logs in as the role that sees every municipality; `api_pool`, which alone requests use, as the
        role that sees one. Without `serve_requests` there is no `api_pool`. Raises `KeyStoreMismatch`, with
        nothing left open, where the key store is not that of this database, and `SettingsFault` where the
        role of requests sees every municipality.
        """
        cache = StreamCache(_CACHED_STREAMS)
        self.relay = Relay(self.service, self.settings, self._signals)
        self.pool = await self._open_pool(self.settings.database, cache)
        needed = any(issubclass(event, Ticked) for event in self.service.subscribes_to)
        watermark = ConsentWatermark(
            needed=needed,
            partitions=self.settings.partitions,
            seconds=self.settings.consent_max_age_seconds,
        )
        keyring = Keyring(self.service.name, self.key_store)
        try:
            await self._verify_key_store(keyring)
            self._serves_requests = serve_requests
            if serve_requests:
                dsn = self.settings.database_api or self.settings.database
                self.api_pool = await self._open_pool(dsn, cache)
                await self._refuse_unbounded_requests()
        except BaseException:
            self._terminate_pools()
            raise
        dependencies = Dependencies(keyring, self.models, watermark, self.clock.now)
        self.processor = BatchProcessor(self.service, dependencies, self.relay.buffer.enqueue, cache)
        self.access_log = AccessLog(self.processor, self.clock)
        self.timers = Timers(self.processor, self.pool, self.clock)
        self.effects = EffectWorker(self.processor, self.pool, self.clock, self.settings)
        self.processor.on_effects = self.effects.wake
        self.gauges = DatabaseGauges(
            self.service, self.pool, watermark_partitions=self.settings.partitions if needed else 0
        )
        self.log_retention = LogRetention(
            self.service, self.settings, self.pool, lambda: self.relay.is_leader
        )
        self.consumer: EventConsumer | None = None
        if run_loops:
            await self.start_loops()

    async def _open_pool(self, dsn: SecretStr, cache: StreamCache) -> Pool:
        pool = await open_pool(
            dsn.get_secret_value(),
            schema=self.service.name,
            size=self.settings.pool,
            on_connect=cache.clear,
            limits=self.settings.limits,
        )
        self._pools.append(pool)
        return pool

    async def _verify_key_store(self, keyring: Keyring) -> None:
        try:
            async with self.pool.acquire() as tx:
                await keyring.verify_key_store(tx)
        except asyncpg.UndefinedTableError:  # not migrated yet, as readiness reports
            return

    async def _requests_see_all(self) -> bool:
        """Return whether the role of requests sees every municipality; a test may let it."""
        if not self._serves_requests:
            return False
        found: bool | None = await self.api_pool.fetchval(_ROLE_SEES_ALL)  # None before the first migration
        return bool(found) and self.settings.mode != "test"

    async def _refuse_unbounded_requests(self) -> None:
        if await self._requests_see_all():
            raise SettingsFault(_SEES_ALL.format(logins_of(self.service.name).api))

    async def start_loops(self) -> None:
        """Start the loops: relay, consumer, timers, effects, gauges."""
        self.connect_broker()
        self._supervise("timers", lambda: self.timers.run(self._stopping))
        if self.service.effect_handlers:
            self._supervise("effects", lambda: self.effects.run(self._stopping))
        self._supervise("housekeeping", self._housekeeping)

    async def _consume(self) -> None:
        stopped_by = self.consumer.stopped_by if self.consumer else None  # another broker makes nothing good
        self.consumer = EventConsumer(self.processor, self.pool, self.settings, self._signals)
        self.consumer.stopped_by = stopped_by
        try:
            await self.consumer.start()
            await self.consumer.commit_loop()
        finally:
            await self.consumer.stop()

    async def disconnect_broker(self) -> None:
        """Close every connection to the broker before it is replaced; commands continue meanwhile."""
        await self._stop_gauges()
        await asyncio.gather(self._stop_loop("consumer", cancel=True), self.stop_relay())

    async def stop_relay(self) -> None:
        """Stop the relay; the consumer continues."""
        await self._stop_loop("relay", cancel=True)

    def connect_broker(self) -> None:
        """Start the loops on a new broker; positions on the last one are forgotten only now."""
        self.relay.forget_broker()
        self._supervise("gauges", self._refresh_gauges)
        self._supervise("relay", self.relay.run)
        if self.service.subscribes_to or self.service.subscribes_to_all:
            self._supervise("consumer", self._consume)

    async def stop(self) -> None:
        """Finish work under way, then close; unfinished work is in the database."""
        self._stopping.set()
        if "processor" not in vars(self):  # start() failed before the processor was made
            return
        await self._stop_gauges()
        self.effects.wake()
        # A mail that was sent and not marked as done would be sent again: effects are not cancelled.
        await asyncio.gather(self._stop_loop("consumer", cancel=True), self._stop_loop("effects"))
        self.relay.stop()
        await self._stop_loop("relay")
        names = {task.get_name() for task in self._tasks}
        await asyncio.gather(*(self._stop_loop(name, cancel=True) for name in names))
        await self.close_pools()

    async def close_pools(self) -> None:
        """Close the connections to the database, within bounds."""
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await asyncio.gather(*(pool.close() for pool in self._pools))
        except TimeoutError:
            self._terminate_pools()

    def _terminate_pools(self) -> None:
        for pool in self._pools:
            pool.terminate()

    async def _stop_gauges(self) -> None:
        """Stop the gauges first: they use the other clients, and aiokafka reopens a closed client."""
        await self._stop_loop("gauges", cancel=True)

    async def _stop_loop(self, name: str, *, cancel: bool = False) -> None:
        """Wait, within bounds, until a loop has finished its current work; `cancel` cancels it."""
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
        """Restart a loop for as long as the service lives; a failure is logged."""
        pause = _RESTART_SECONDS
        while not self._stopping.is_set():
            try:
                await work()
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                # A task that this loop awaited was cancelled: without this line the loop would end silently.
                log.error("loop_failed", service=self.service.name, loop=name, kind="CancelledError")
            except Exception as fault:  # noqa: BLE001  the supervisor: whatever fails is logged and restarted
                log.error("loop_failed", service=self.service.name, loop=name, kind=type(fault).__name__)
                pause = min(pause * 2, _LONGEST_RESTART_SECONDS)
            await asyncio.sleep(pause)

    async def unready_reasons(self) -> dict[str, str]:
        """Return the reasons by which this service is not ready, by part; empty when it is ready."""
        reasons: dict[str, str] = {}
        try:
            async with asyncio.timeout(3), self.pool.acquire() as tx:
                missing = await missing_migrations(tx, self.service)
                if await self._requests_see_all():
                    reasons["requests"] = _SEES_ALL.format(logins_of(self.service.name).api)
            metrics.DATABASE_UP.labels(self.service.name).set(1)
            if missing:
                reasons["database"] = f"migrations have not run: {', '.join(missing)}"
        except CONNECTION_FAULTS as fault:
            metrics.DATABASE_UP.labels(self.service.name).set(0)
            reasons["database"] = f"does not answer ({type(fault).__name__})"
        if not self._broker_responds:
            reasons["broker"] = "does not answer"
        if not self.relay.is_alive():
            reasons["relay"] = "has not reached the broker, nor has another process"
        if self.consumer is not None:
            reasons.update(self.consumer.unready_reasons())
        elif self.service.subscribes_to or self.service.subscribes_to_all:
            reasons["consumer"] = "has not begun"
        metrics.READY.labels(self.service.name).set(not reasons)
        return reasons

    async def has_pending_work(self) -> bool:
        """Return whether anything is pending to be sent or a timer is due."""
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
            await asyncio.sleep(self.settings.limits.gauges_seconds)

    async def _check_broker(self) -> None:
        """Check the broker over an open connection; without one the state stays as it was."""
        sender, consumer = self.relay.producer, self.consumer
        joined = consumer.consumer if consumer and consumer.joined else None  # else it may know no broker yet
        client = sender or joined
        if client is None or not is_open(client):
            return
        self._broker_responds = await broker_responds(client)
        metrics.BROKER_UP.labels(self.service.name).set(self._broker_responds)
        if self._broker_responds and consumer:
            await consumer.refresh_end_offsets()

    async def _housekeeping(self) -> None:
        while True:
            async with self.pool.acquire() as tx:
                await make_partitions(tx)
                await tx.execute(_DELETE_OLD_KEYS)
            await self.log_retention.run_once()
            await asyncio.sleep(_HOUSEKEEPING_SECONDS)


_DELETE_OLD_KEYS: Final = "delete from idempotency_keys where created_at < now() - interval '30 days'"

_SEES_ALL: Final = "SAMSPIL_DATABASE_API names a role that sees every municipality: log in as {}"

_ROLE_SEES_ALL: Final = """
select not row_security_active(c.oid) or exists (
  select from pg_policy p cross join unnest(p.polroles) as r (oid)
  where p.polrelid = c.oid and p.polname ^@ 'all_tenants_of_' and pg_has_role(r.oid, 'member')
) from pg_class c where c.oid = to_regclass('streams')
"""

_HAS_PENDING_WORK: Final = """
select exists (select from pending) or exists (select from timers where due_at <= $1)
"""
