"""One running service: its connections, its loops, and the truth about whether it may be used."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import asyncpg

from contracts.model import CollaborationModel
from services.kernel import metrics
from services.kernel.clock import Clock, wall
from services.kernel.crash import arm_crash
from services.kernel.database import open_pool, passes
from services.kernel.effects import Effects
from services.kernel.horizon import Horizon
from services.kernel.intake import Intake
from services.kernel.kms import Kms
from services.kernel.logs import log
from services.kernel.messages import Message
from services.kernel.migrations import make_partitions, missing_migrations
from services.kernel.relay import Relay
from services.kernel.sealing import Keyring
from services.kernel.service import Service
from services.kernel.settings import Settings
from services.kernel.step import Known, Step
from services.kernel.timers import Timers

_MEASURE_SECONDS: Final = 5.0
_HOUSEKEEPING_SECONDS: Final = 3600.0
_RESTART_SECONDS: Final = 0.5
_STOP_SECONDS: Final = 20.0
_LONGEST_RESTART_SECONDS: Final = 8.0


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
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, *, listen: bool = True) -> None:
        """Open the database and start the loops; without `listen` only commands can be given."""
        dsn = self.settings.database.get_secret_value()
        self.pool = await open_pool(dsn, schema=self.service.name, size=self.settings.pool)
        hears_consents = "consent" in self.service.sources
        horizon = Horizon(
            needed=hears_consents and not self.service.hears_all,
            partitions=self.settings.partitions,
            seconds=self.settings.horizon_seconds,
        )
        known = Known(Keyring(self.service.name, self._kms), self.models, horizon, self.clock.now)
        self.relay = Relay(self.service, self.settings)
        self.step = Step(self.service, known, self._told)
        self.timers = Timers(self.step, self.pool, self.clock)
        self.effects = Effects(self.step, self.pool, self.clock, self.settings)
        self.intake: Intake | None = None
        if listen:
            await self.listen()

    def _told(self, committed: Sequence[tuple[int, Message]]) -> None:
        self.relay.tell(committed)
        self.effects.wake()

    async def listen(self) -> None:
        """Start the loops: relay, intake, timers, effects, measures."""
        self._keep("relay", self.relay.run)
        self._keep("timers", lambda: self.timers.run(self._stopping))
        if self.service.perform:
            self._keep("effects", lambda: self.effects.run(self._stopping))
        self._keep("measures", self._measure)
        self._keep("housekeeping", self._keep_house)
        if self.service.hears or self.service.hears_all:
            self._keep("intake", self._take_in)

    async def _take_in(self) -> None:
        self.intake = Intake(self.step, self.pool, self.settings)
        try:
            await self.intake.start()
            await self.intake.keep_place()
        finally:
            await self.intake.stop()

    async def stop(self) -> None:
        """Finish what is under way, then close; what is not finished is in the database."""
        self._stopping.set()
        if "step" not in vars(self):  # the database did not answer when it was to start
            return
        await self._end("intake", cancel=True)
        self.relay.stop()
        await self._end("relay")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            async with asyncio.timeout(5):
                await self.pool.close()
        except TimeoutError:
            self.pool.terminate()

    async def _end(self, name: str, *, cancel: bool = False) -> None:
        """Wait, within bounds, until a loop has ended what it is at; `cancel` tells it to."""
        tasks = [task for task in self._tasks if task.get_name() == name]
        if cancel:
            for task in tasks:
                task.cancel()
        if tasks and (await asyncio.wait(tasks, timeout=_STOP_SECONDS))[1]:
            log.warning("loop_left_open", service=self.service.name, loop=name)

    def _keep(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        self._tasks.append(asyncio.create_task(self._again_and_again(name, work), name=name))

    async def _again_and_again(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run a loop for as long as the service lives; a loop that breaks is said and started again."""
        pause = _RESTART_SECONDS
        while not self._stopping.is_set():
            try:
                await work()
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
            if missing:
                reasons["database"] = f"migrations have not run: {', '.join(missing)}"
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as fault:
            reasons["database"] = f"does not answer ({type(fault).__name__})"
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
                await self._measure_once()
                metrics.DATABASE_UP.labels(self.service.name).set(1)
            except Exception as fault:
                if not passes(fault):
                    raise
                metrics.DATABASE_UP.labels(self.service.name).set(0)
            await self.why_not_ready()
            await asyncio.sleep(_MEASURE_SECONDS)

    async def _measure_once(self) -> None:
        name = self.service.name
        row: Any = await self.pool.fetchrow(_MEASURES, self.clock.now())
        metrics.PENDING.labels(name).set(row["pending"])
        metrics.PENDING_AGE.labels(name).set(row["pending_age"] or 0)
        metrics.PARKED_NOW.labels(name).set(row["parked"])
        metrics.TIMERS_DUE.labels(name).set(row["due"])
        if row["horizon"] is not None:
            metrics.HORIZON_AGE.labels(name).set((wall() - row["horizon"]).total_seconds())

    async def _keep_house(self) -> None:
        while True:
            async with self.pool.acquire() as tx:
                await make_partitions(tx)
                await tx.execute(_FORGET_KEYS)
            await asyncio.sleep(_HOUSEKEEPING_SECONDS)


_MEASURES: Final = """
select
  (select coalesce(sum(cardinality(ids)), 0) from pending) as pending,
  (select extract(epoch from now() - queued_at) from pending order by first_id limit 1) as pending_age,
  (select count(*) from parked_events) as parked,
  (select count(*) from timers where due_at <= $1) as due,
  (select min(at) from horizon) as horizon
"""

_FORGET_KEYS: Final = "delete from command_keys where created_at < now() - interval '30 days'"

_UNSETTLED: Final = """
select exists (select from pending) or exists (select from timers where due_at <= $1)
"""
