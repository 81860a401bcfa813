"""One running service: its connections, its loops, and the truth about whether it may be used."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import asyncpg

from contracts.model import CollaborationModel
from services.kernel import metrics
from services.kernel.clock import Clock
from services.kernel.consumer.consumer import Intake
from services.kernel.crash_points import arm_crash
from services.kernel.decider.service import Service
from services.kernel.effects.worker import Effects
from services.kernel.kafka.clients import answers, is_open
from services.kernel.kafka.cloudevents import Told
from services.kernel.logging import log
from services.kernel.outbox.log_retention import Keeping
from services.kernel.outbox.relay import Relay
from services.kernel.postgres.connections import CONNECTION_FAULTS, open_pool, passes
from services.kernel.postgres.migrations import make_partitions, missing_migrations
from services.kernel.privacy.encryption import Keyring
from services.kernel.privacy.key_store import Kms
from services.kernel.privacy.request_digests import Fingerprints
from services.kernel.runtime.gauges import Measures
from services.kernel.scheduling.timers import Timers
from services.kernel.settings import Settings
from services.kernel.streams.cache import Recent
from services.kernel.streams.consent_watermark import Horizon
from services.kernel.streams.processor import Known, Step

_MEASURE_SECONDS: Final = 5.0
_HOUSEKEEPING_SECONDS: Final = 3600.0
_RESTART_SECONDS: Final = 0.5
_STOP_SECONDS: Final = 20.0
_LONGEST_RESTART_SECONDS: Final = 8.0
_REMEMBERED: Final = 10_000
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
        kms: Kms,
    ) -> None:
        """Prepare; nothing is opened before `start`."""
        arm_crash(settings.mode)
        self.service = service
        self.settings = settings
        self.clock = clock
        self.models = models
        self._kms = kms
        self.fingerprints = Fingerprints(kms)
        self._stopping = asyncio.Event()
        self._broker_answers = True
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, *, listen: bool = True) -> None:
        """Open the database and start the loops; without `listen` only commands can be given.

        Raises `KeyStoreBroken`, with nothing left open, where the key store is not that of this database.
        """
        dsn = self.settings.database.get_secret_value()
        recent = Recent(_REMEMBERED)
        self.relay = Relay(self.service, self.settings)

        def connected() -> None:
            recent.forget()
            self.relay.doubt()

        self.pool = await open_pool(
            dsn, schema=self.service.name, size=self.settings.pool, on_connect=connected
        )
        needed = "consent" in self.service.sources and not self.service.hears_all
        horizon = Horizon(
            needed=needed,
            partitions=self.settings.partitions,
            seconds=self.settings.horizon_seconds,
        )
        keyring = Keyring(self.service.name, self._kms)
        await self._try_key_store(keyring)
        known = Known(keyring, self.models, horizon, self.clock.now)
        self.step = Step(self.service, known, self._told, recent)
        self.timers = Timers(self.step, self.pool, self.clock)
        self.effects = Effects(self.step, self.pool, self.clock, self.settings)
        self.measures = Measures(self.service, self.pool, ticking=self.settings.partitions if needed else 0)
        self.keeping = Keeping(self.service, self.settings, self.pool, self.relay)
        self.intake: Intake | None = None
        if listen:
            await self.listen()

    async def _try_key_store(self, keyring: Keyring) -> None:
        try:
            async with self.pool.acquire() as tx:
                await keyring.try_one(tx)
        except asyncpg.UndefinedTableError:  # nothing is prepared yet, as readiness tells
            return
        except BaseException:
            self.pool.terminate()
            raise

    def _told(self, committed: Sequence[tuple[int, Told]]) -> None:
        self.relay.tell(committed)
        self.effects.wake()

    async def listen(self) -> None:
        """Start the loops: relay, intake, timers, effects, measures."""
        self.take_hold()
        self._keep("timers", lambda: self.timers.run(self._stopping))
        if self.service.perform:
            self._keep("effects", lambda: self.effects.run(self._stopping))
        self._keep("housekeeping", self._keep_house)

    async def _take_in(self) -> None:
        stopped_by = self.intake.stopped_by if self.intake else None  # another broker makes nothing good
        self.intake = Intake(self.step, self.pool, self.settings)
        self.intake.stopped_by = stopped_by
        try:
            await self.intake.start()
            await self.intake.keep_place()
        finally:
            await self.intake.stop()

    async def let_go(self) -> None:
        """Turn away from the broker, for another to take its place; commands go on meanwhile."""
        await self._end_measures()
        await asyncio.gather(self._end("intake", cancel=True), self.fall_silent())

    async def fall_silent(self) -> None:
        """Send nothing more; what was sent is still heard."""
        await self._end("relay", cancel=True)

    def take_hold(self) -> None:
        """Turn to a broker. Until now what was sent to the last one and not heard was still to be heard."""
        self.relay.forget_broker()
        self._keep("measures", self._measure)
        self._keep("relay", self.relay.run)
        if self.service.hears or self.service.hears_all:
            self._keep("intake", self._take_in)

    async def stop(self) -> None:
        """Finish what is under way, then close; what is not finished is in the database."""
        self._stopping.set()
        if "step" not in vars(self):  # the database did not answer when it was to start
            return
        await self._end_measures()
        self.effects.wake()
        # A mail that was sent and not marked would be sent again: it is not cancelled.
        await asyncio.gather(self._end("intake", cancel=True), self._end("effects"))
        self.relay.stop()
        await self._end("relay")
        names = {task.get_name() for task in self._tasks}
        await asyncio.gather(*(self._end(name, cancel=True) for name in names))
        try:
            async with asyncio.timeout(5):
                await self.pool.close()
        except TimeoutError:
            self.pool.terminate()

    async def _end_measures(self) -> None:
        """End first who asks over the others' clients: asked once it is closed, a client opens again."""
        await self._end("measures", cancel=True)

    async def _end(self, name: str, *, cancel: bool = False) -> None:
        """Wait, within bounds, until a loop has ended what it is at; `cancel` tells it to."""
        tasks = [task for task in self._tasks if task.get_name() == name]
        if cancel:
            for task in tasks:
                task.cancel()
        if tasks and (await asyncio.wait(tasks, timeout=_STOP_SECONDS))[1]:
            log.warning("loop_left_open", service=self.service.name, loop=name)
        self._tasks = [task for task in self._tasks if not task.done()]

    def _keep(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        self._tasks.append(asyncio.create_task(self._again_and_again(name, work), name=name))

    async def _again_and_again(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
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
                log.error("loop_broke", service=self.service.name, loop=name, kind="CancelledError")
            except Exception as fault:  # noqa: BLE001  the runner: the one place where everything ends
                log.error("loop_broke", service=self.service.name, loop=name, kind=type(fault).__name__)
                pause = min(pause * 2, _LONGEST_RESTART_SECONDS)
            await asyncio.sleep(pause)

    async def why_not_ready(self) -> dict[str, str]:
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
        if not self._broker_answers:
            reasons["broker"] = "does not answer"
        if not self.relay.works():
            reasons["relay"] = "has not reached the broker, nor is another process known to"
        if self.intake is not None:
            reasons.update(self.intake.why_not_ready())
        elif self.service.hears or self.service.hears_all:
            reasons["intake"] = "has not begun"
        metrics.READY.labels(self.service.name).set(not reasons)
        return reasons

    async def unsettled(self) -> bool:
        """Return whether anything waits here to be sent or has fallen due."""
        found: bool = await self.pool.fetchval(_UNSETTLED, self.clock.now())
        return found

    async def _measure(self) -> None:
        while True:
            try:
                await self.measures.take(self.clock.now())
            except Exception as fault:
                if not passes(fault):
                    raise
                log.warning("not_measured", service=self.service.name, kind=type(fault).__name__)
            await self._ask_broker()
            await self.why_not_ready()
            await asyncio.sleep(_MEASURE_SECONDS)

    async def _ask_broker(self) -> None:
        """Ask over a connection that is there already; who has none, and does not try, cannot tell."""
        sender, intake = self.relay.sender, self.intake
        consumer = intake.consumer if intake and intake.joined else None  # else it may know no broker yet
        client = sender.client if sender else consumer and consumer._client  # noqa: SLF001  it has no other way
        if client is None or not is_open(client):
            return
        self._broker_answers = await answers(client)
        metrics.BROKER_UP.labels(self.service.name).set(self._broker_answers)
        if self._broker_answers and intake:
            await intake.look_ahead()

    async def _keep_house(self) -> None:
        while True:
            async with self.pool.acquire() as tx:
                await make_partitions(tx)
                await tx.execute(_FORGET_KEYS)
            await self.keeping.look()
            await asyncio.sleep(_HOUSEKEEPING_SECONDS)


_FORGET_KEYS: Final = "delete from command_keys where created_at < now() - interval '30 days'"

_UNSETTLED: Final = """
select exists (select from pending) or exists (select from timers where due_at <= $1)
"""
