"""What is done in the world after a commit: at least once, always under the same key."""

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, TypeAlias
from uuid import UUID

import asyncpg
import msgspec

from services.kernel import metrics
from services.kernel.clock import Clock
from services.kernel.crash import crash_point
from services.kernel.database import Pool, lacks, passes
from services.kernel.decision import Actor, Effect
from services.kernel.errors import Missing, No, Refused
from services.kernel.ids import new_id
from services.kernel.logs import log
from services.kernel.settings import Settings
from services.kernel.step import Step
from services.kernel.streams import read
from services.kernel.weighing import Asked, Outcome

_PORTION: Final = 20
_LEASE: Final = timedelta(seconds=10)
_RENEW_SECONDS: Final = 3.0
_LOOK_SECONDS: Final = 1.0
_LONGEST: Final = timedelta(hours=6)
_PATIENCE: Final = 30.0
_TRIES: Final = 10

Private: TypeAlias = tuple[Any, Mapping[str, Any]]
Ended: TypeAlias = tuple[asyncpg.Record, Any]


def _key(ended: Ended) -> UUID:
    key: UUID = ended[0]["key"]
    return key


class Effects:
    """Performs the effects of one service.

    A lease keeps two workers from doing the same at once. It is short, and renewed while its worker is at it:
    what a worker that died had taken is soon taken up by another. Nobody begins on a lease that has run out,
    and what is done is kept in mind, under its lease, until it is marked: only who dies or is cut off for
    longer than a lease leaves a deed for another to repeat.
    """

    def __init__(self, step: Step, pool: Pool, clock: Clock, settings: Settings) -> None:
        """Perform by the service's table."""
        self._step = step
        self._pool = pool
        self._clock = clock
        self._perform = step.service.perform
        self._name = step.service.name
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(step.service.state)
        self.settings = settings
        self._kick = asyncio.Event()
        self._marking = asyncio.Lock()
        self._ended: list[Ended] = []
        self._wanted: list[UUID] = []
        self._held: dict[UUID, float] = {}
        self._unmarked: dict[UUID, Ended] = {}
        self._well_since: float | None = 0.0

    def wake(self) -> None:
        """Look at once: something was committed."""
        self._kick.set()

    async def read(self, stream_id: UUID) -> Private:
        """Return a stream's state (None where there is none) and its opened private values by name.

        What is asked at the same moment is read together.
        """
        if not self._wanted:
            self._reading = asyncio.create_task(self._read_wanted())
        self._wanted.append(stream_id)
        try:
            return (await asyncio.shield(self._reading))[stream_id]
        except No:  # one of them cannot be opened: each for itself, so that the others can
            return (await self._read([stream_id]))[stream_id]

    async def _read_wanted(self) -> dict[UUID, Private]:
        await asyncio.sleep(0)
        wanted, self._wanted = self._wanted, []
        return await self._read(list(dict.fromkeys(wanted)))

    async def _read(self, ids: list[UUID]) -> dict[UUID, Private]:
        async with self._pool.acquire() as tx:
            rows = await read(tx, ids, self._decoder)
            opened = await self._step.known.keyring.open_streams(tx, ids)
        return {at: (rows[at].state if at in rows else None, opened.get(at, {})) for at in ids}

    async def consents_known(self, stream_id: UUID) -> bool:
        """Return whether what this service remembers of a stream's consents is fresh and whole."""
        async with self._pool.acquire() as tx:
            return stream_id in await self._step.surely(tx, [stream_id])

    async def run(self, stopping: asyncio.Event) -> None:
        """Perform until stopped."""
        while not stopping.is_set():
            self._kick.clear()
            try:
                done = await self.perform()
            except Exception as fault:
                self._well_since = None
                if not passes(fault):
                    raise
                log.warning("effects_failed", service=self._name, kind=type(fault).__name__)
                done = 0
            if done < _PORTION:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await self._kick.wait()

    async def perform(self) -> int:
        """Perform one portion of what waits; return how many there were."""
        if not self._perform:
            return 0
        over = asyncio.Event()
        renewing = asyncio.create_task(self._renew(over))
        try:
            await self._mark_left()
            rows = await self._claim()
            ends = await asyncio.gather(*(self._do(row) for row in rows), return_exceptions=True)
        finally:
            over.set()  # a cancel alone may be lost where the driver answers it with a fault of its own
            renewing.cancel()
            await asyncio.wait({renewing})
        for end in ends:
            if end is not None:
                raise end
        return len(rows)

    async def _claim(self) -> Sequence[asyncpg.Record]:
        """Take a portion of what is due.

        While the database was away no worker could renew its leases or mark what it had done: after that
        leases that ran out are left alone for as long as one lasts.
        """
        asked_at = time.monotonic()
        well = self._well_since is not None and asked_at - self._well_since >= _LEASE.total_seconds()
        rows = await self._pool.fetch(_CLAIM, _PORTION, _LEASE, well)
        if self._well_since is None:
            self._well_since = asked_at
        self._hold([row["key"] for row in rows], asked_at)
        return rows

    def _hold(self, keys: Sequence[UUID], asked_at: float) -> None:
        """Note until when leases last that were asked for at a time."""
        self._held.update(dict.fromkeys(keys, asked_at + _LEASE.total_seconds()))

    async def waiting(self) -> int:
        """Return how many effects have not been done and were not tried in vain."""
        found: int = await self._pool.fetchval(
            "select count(*) from effects where done_at is null and attempts <= 1"
        )
        return found

    async def _renew(self, over: asyncio.Event) -> None:
        """Hold on to what is under way, until it is over."""
        while not over.is_set():
            await asyncio.sleep(_RENEW_SECONDS)
            asked_at, keys = time.monotonic(), list(self._held)
            try:
                await self._pool.execute(_HOLD, keys, _LEASE)
            except Exception as fault:
                if not passes(fault):
                    raise
                log.warning("lease_not_renewed", service=self._name, kind=type(fault).__name__)
            else:
                self._hold([key for key in keys if key in self._held], asked_at)

    async def _do(self, row: asyncpg.Record) -> None:
        try:
            await self._attempt(row)
        finally:
            if row["key"] not in self._unmarked:
                self._held.pop(row["key"], None)

    async def _attempt(self, row: asyncpg.Record) -> None:
        about = msgspec.json.decode(row["about"], type=dict[str, str])
        effect = Effect(row["key"], row["kind"], about)
        if effect.key not in self._unmarked and time.monotonic() > self._held.get(effect.key, 0):
            log.warning("lease_lost", service=self._name, effect=effect.kind)  # this process has slept
            return
        try:
            async with asyncio.timeout(_PATIENCE):
                crash_point("perform.before")
                if effect.key not in self._unmarked:
                    self._unmarked[effect.key] = row, await self._perform[effect.kind](effect, self)
        except Exception as fault:  # noqa: BLE001  whatever went wrong out there, it is tried again
            metrics.EFFECTS.labels(self._name, effect.kind, "retried").inc()
            log.warning("effect_retried", service=self._name, effect=effect.kind, kind=type(fault).__name__)
            self._held.pop(row["key"], None)
            pause = min(timedelta(seconds=5 * 2 ** min(row["attempts"], 20)), _LONGEST)
            await self._pool.execute(
                "update effects set due_at = now() + $2 where key = $1", row["key"], pause
            )
            return
        crash_point("perform.after")
        # Where it cannot be marked now, it is remembered as done, and only the mark is tried again.
        self._ended.append(self._unmarked[effect.key])
        await self._mark_ended()

    async def _mark_left(self) -> None:
        """Try again the marks that could not be made, each for itself: one may wait for a stranger's lock."""
        left = [self._mark([one]) for one in self._unmarked.values()]
        for end in await asyncio.gather(*left, return_exceptions=True):
            if end is None:
                continue
            self._well_since = None
            if not isinstance(end, Exception) or not passes(end):
                raise end
            log.warning("effect_not_marked", service=self._name, kind=type(end).__name__)

    async def _mark_ended(self) -> None:
        """Mark what has ended, together with all that ends meanwhile: one transaction is open at a time."""
        await asyncio.sleep(0)
        async with self._marking:
            ended, self._ended = sorted(self._ended, key=_key), []  # everybody locks in one order
            if ended:
                await self._mark(ended)

    async def _mark(self, ended: Sequence[Ended]) -> None:
        """Mark effects done, and tell their streams how they went, in one transaction.

        What was done is never done again because its stream would not hear of it: where one is refused or
        breaks a rule, each is marked for itself.
        """
        try:
            await self._tell_streams(ended)
        except Exception as fault:
            if passes(fault) or lacks(fault):
                raise
            if len(ended) > 1:
                for one in ended:
                    await self._mark([one])
                return
            await self._mark_unheard(ended[0][0], fault)
        crash_point("mark.after")
        for row, _ in ended:
            self._unmarked.pop(row["key"], None)
            self._held.pop(row["key"], None)
            metrics.EFFECTS.labels(self._name, row["kind"], "done").inc()

    async def _mark_unheard(self, row: asyncpg.Record, fault: Exception) -> None:
        if isinstance(fault, Refused | Missing):
            metrics.REFUSED.labels(self._name, fault.slug()).inc()
            outcome = fault.slug()
        else:
            metrics.BUGS.labels(self._name, type(fault).__name__).inc()
            log.error("effect_unheard", service=self._name, effect=row["kind"], kind=type(fault).__name__)
            outcome = "bug"
        await self._pool.execute(_DONE, [row["key"]], [outcome])

    async def _tell_streams(self, ended: Sequence[Ended]) -> None:
        """Mark and tell, again where another writer was faster."""
        for attempt in range(_TRIES):
            try:
                outcome = await self._mark_and_tell(ended)
            except asyncpg.SerializationError:
                if attempt + 1 == _TRIES:
                    raise
                await self._step.pause(attempt)
            else:
                if outcome is not None:
                    self._step.tell(outcome)
                return

    async def _mark_and_tell(self, ended: Sequence[Ended]) -> Outcome | None:
        keys = [row["key"] for row, _ in ended]
        outcomes = ["none" if answer is None else type(answer).__name__ for _, answer in ended]
        async with self._pool.acquire() as tx, tx.transaction():
            # Another worker, whose lease had run out, may have been faster.
            marked = {row["key"] for row in await tx.fetch(_DONE, keys, outcomes)}
            crash_point("mark.before")
            asked = [
                self._asked(row, answer)
                for row, answer in ended
                if answer is not None and row["key"] in marked
            ]
            return await self._step.once(tx, asked) if asked else None

    def _asked(self, row: asyncpg.Record, answer: Any) -> Asked:
        cause = str(new_id())
        actor = Actor(tenant=row["tenant"])
        return Asked(row["stream_id"], row["tenant"], answer, actor, self._clock.now(), cause, cause)


_CLAIM: Final = """
update effects set attempts = attempts + 1, due_at = now() + $2
where key in (
  select key from effects where done_at is null and due_at <= now() and (attempts = 0 or $3)
  order by due_at limit $1
  for update skip locked
)
returning key, stream_id, tenant, kind, about, attempts
"""

_HOLD: Final = "update effects set due_at = now() + $2 where key = any($1::uuid[]) and done_at is null"

_DONE: Final = """
update effects set done_at = now(), outcome = ended.outcome
from unnest($1::uuid[], $2::text[]) as ended (key, outcome)
where effects.key = ended.key and effects.done_at is null
returning effects.key
"""
