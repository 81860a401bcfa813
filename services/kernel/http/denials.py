"""Denials in the audit trail: the first of a person one by one, further ones in one entry a minute."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from contracts.event import municipality_stream
from services.kernel.decider.decision import Actor
from services.kernel.errors import NotAllowed, NotFound, ProblemError
from services.kernel.http.tenant_writes import commit_for
from services.kernel.logging import log
from services.kernel.postgres.connections import CONNECTION_FAULTS, Tx, is_transient
from services.kernel.runtime.runtime import Runtime
from services.kernel.streams.handler import BatchResult

DENIALS: Final = (NotAllowed, NotFound)
"""The answers by which somebody was denied something."""

_MOST_PERSONS: Final = 10_000


class Denial(Struct, frozen=True):
    """What an actor was denied: the id that they named, a command or a part, and the answer's code."""

    actor: Actor
    case_id: UUID
    wanted: str
    slug: str
    traceparent: str = ""


class _Counting(Struct):
    """The denials of one person in an interval: how many have an entry each, how many are counted."""

    ends_at: float
    alone: int = 0
    counted: int = 0
    last: Denial | None = None
    of_one_case: bool = True


class Denials:
    """Records what one service denies.

    The counts of the interval under way are in memory: a killed process loses these, and nothing else.
    """

    def __init__(self, runtime: Runtime) -> None:
        """Record in the service's own log."""
        self._runtime = runtime
        self._limits = runtime.settings.limits
        self._persons: OrderedDict[tuple[str, UUID], _Counting] = OrderedDict()
        self._task: asyncio.Task[None] | None = None

    async def record(self, denial: Denial) -> None:
        """Record a denial before it is answered, or count it; raise what the database raises."""
        await self._end(self._is_due)
        person = (denial.actor.tenant, denial.actor.id)
        counting = self._persons.get(person)
        if counting is None:
            counting = self._persons[person] = _Counting(monotonic() + self._limits.denials_seconds)
        if counting.alone < self._limits.denials_alone:
            counting.alone += 1
            await self._append(denial, 1)
        else:
            counting.of_one_case &= counting.last is None or counting.last.case_id == denial.case_id
            counting.counted += 1
            counting.last = denial
        await self._end(lambda _one: len(self._persons) > _MOST_PERSONS)
        self._start()

    async def close(self) -> None:
        """Record what is counted so far, and stop."""
        if self._task is not None:
            self._task.cancel()
        try:
            await self._end(lambda _one: True)
        except CONNECTION_FAULTS as fault:
            self._log_failure(fault)

    def _start(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._end_intervals())

    async def _end_intervals(self) -> None:
        """End each interval in time, until no person has one."""
        while self._persons:
            ends_at = next(iter(self._persons.values())).ends_at
            await asyncio.sleep(max(0.0, ends_at - monotonic()))
            try:
                await self._end(self._is_due)
            except Exception as fault:
                if not is_transient(fault):
                    raise
                self._log_failure(fault)

    def _log_failure(self, fault: BaseException) -> None:
        log.warning("denials_not_recorded", service=self._runtime.service.name, kind=type(fault).__name__)

    def _is_due(self, counting: _Counting) -> bool:
        return counting.ends_at <= monotonic()

    async def _end(self, chosen: Callable[[_Counting], bool]) -> None:
        """End intervals, the oldest first: record what each has counted, and go on where it was not quiet.

        Where an entry cannot be written its count stays, and is part of the next.
        """
        while self._persons and chosen(next(iter(self._persons.values()))):
            person, counting = self._persons.popitem(last=False)
            if not counting.counted or counting.last is None:
                continue
            ends_at = monotonic() + self._limits.denials_seconds
            again = self._persons[person] = _Counting(ends_at, self._limits.denials_alone)
            try:
                await self._append(_filed(counting.last, of_one_case=counting.of_one_case), counting.counted)
            except BaseException:
                again.counted += counting.counted
                again.of_one_case &= counting.of_one_case
                again.last = again.last or counting.last
                raise

    async def _append(self, denial: Denial, times: int) -> None:
        event = self._runtime.service.denied_event(
            case_id=denial.case_id, wanted=denial.wanted, slug=denial.slug, times=times
        )

        async def record(tx: Tx) -> tuple[BatchResult, None]:
            log_ = self._runtime.access_log
            return await log_.append(tx, denial.actor, event, traceparent=denial.traceparent), None

        await commit_for(self._runtime, denial.actor.tenant, record)


async def record_counted(denials: Mapping[str, Denials]) -> None:
    """Record at once what several services have counted, as before an end."""
    for one in denials.values():
        await one.close()


def slug_of(problem: ProblemError) -> str:
    """Return how the trail names the answer that a denial got."""
    return problem.code().replace("-", "_")


def _filed(denial: Denial, *, of_one_case: bool) -> Denial:
    """Return a counted denial under its case, or under the municipality where it was several."""
    return denial if of_one_case else replace(denial, case_id=municipality_stream(denial.actor.tenant))
