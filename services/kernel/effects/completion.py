"""What was done is marked, and its stream told how it went, in one transaction."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, TypeAlias
from uuid import UUID

import asyncpg

from services.kernel import metrics
from services.kernel.clock import Clock
from services.kernel.crash_points import crash_point
from services.kernel.decider.decision import Actor
from services.kernel.effects.leases import Leases
from services.kernel.errors import Missing, Refused
from services.kernel.ids import new_id
from services.kernel.logging import log
from services.kernel.postgres.connections import Pool, lacks, passes
from services.kernel.streams.handler import Asked, Outcome
from services.kernel.streams.processor import Step

_TRIES: Final = 10

Ended: TypeAlias = tuple[asyncpg.Record, Any]


def _key(ended: Ended) -> UUID:
    key: UUID = ended[0]["key"]
    return key


class Marking:
    """Marks the effects of one service as done.

    What cannot be marked now is kept in mind, under its lease, until it is.
    """

    def __init__(self, step: Step, pool: Pool, clock: Clock, leases: Leases) -> None:
        """Mark by the service's table."""
        self._step = step
        self._pool = pool
        self._clock = clock
        self._leases = leases
        self._name = step.service.name
        self._one_at_a_time = asyncio.Lock()
        self._ended: list[Ended] = []
        self._left: dict[UUID, Ended] = {}

    def knows(self, key: UUID) -> bool:
        """Return whether an effect was done here, and could not be marked yet."""
        return key in self._left

    def keep(self, row: asyncpg.Record, answer: Any) -> None:
        """Keep in mind what was done, and what its stream is to be told, until it is marked."""
        self._left[row["key"]] = row, answer

    async def again(self) -> None:
        """Try again the marks that could not be made, each for itself: one may wait for a stranger's lock."""
        left = [self._mark([one]) for one in self._left.values()]
        for end in await asyncio.gather(*left, return_exceptions=True):
            if end is None:
                continue
            self._leases.trouble()
            if not isinstance(end, Exception) or not passes(end):
                raise end
            log.warning("effect_not_marked", service=self._name, kind=type(end).__name__)

    async def mark(self, key: UUID) -> None:
        """Mark what is kept, together with all that ends meanwhile: one transaction is open at a time."""
        self._ended.append(self._left[key])
        await asyncio.sleep(0)
        async with self._one_at_a_time:
            ended, self._ended = sorted(self._ended, key=_key), []  # everybody locks in one order
            if ended:
                await self._mark(ended)

    async def _mark(self, ended: Sequence[Ended]) -> None:
        """Mark effects done, and tell their streams how they went.

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
            self._left.pop(row["key"], None)
            self._leases.drop(row["key"])
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


_DONE: Final = """
update effects set done_at = now(), outcome = ended.outcome
from unnest($1::uuid[], $2::text[]) as ended (key, outcome)
where effects.key = ended.key and effects.done_at is null
returning effects.key
"""
