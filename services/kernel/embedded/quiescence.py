"""Move a virtual clock from one due time to the next, with all that follows done before time goes on."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import asyncpg

from contracts.event import topic_of
from services.kernel.clock import VirtualClock
from services.kernel.kafka.wakeups import TopicPartitionKey
from services.kernel.runtime.runtime import Runtime

_LOOK_SECONDS: Final = 0.002
_SETTLE_SECONDS: Final = 60.0
_HEAR_SECONDS: Final = 5.0


async def advance_clock(clock: VirtualClock, runtimes: Mapping[str, Runtime], to: datetime) -> bool:
    """Move time, stopping wherever something falls due, and return whether all of it was done."""
    while (rest := await _wait_until_idle(runtimes)) is not None:
        following = min((at for at in rest.values() if at is not None), default=None)
        if following is None or following > to:  # on the way nothing falls due: all stays as it was found
            clock.move(max(clock.now(), to))
            return True
        clock.move(max(clock.now(), following))
    clock.move(max(clock.now(), to))
    return False


async def wait_until_idle(runtimes: Mapping[str, Runtime]) -> bool:
    """Wait until what is due is done, sent and heard, within bounds; return whether it is."""
    return await _wait_until_idle(runtimes) is not None


async def _wait_until_idle(runtimes: Mapping[str, Runtime]) -> dict[str, datetime | None] | None:
    """Wait until all is done, sent and heard; return when each service's next timer falls due.

    Nothing where it took too long. All is at rest where a look at the tables finds nothing to send and
    nothing due, everything that was sent had been taken before it, and nothing was sent meanwhile: so no
    consumer was at work while the tables were looked at.
    """
    deadline = time.monotonic() + _SETTLE_SECONDS
    while time.monotonic() < deadline:
        sent = _sent_offsets(runtimes)
        if _all_consumed(runtimes, sent):
            found = await _poll(runtimes)
            due = [runtimes[row["service"]] for row in found if _is_due(runtimes, row)]
            if due:
                await asyncio.gather(*(_fire_all(runtime) for runtime in due))
            elif not any(row["pending"] for row in found) and _sent_offsets(runtimes) == sent:
                return {row["service"]: row["due_at"] for row in found}
        await asyncio.sleep(_LOOK_SECONDS)
    return None


async def _fire_all(runtime: Runtime) -> None:
    while await runtime.timers.fire():
        pass


def _is_due(runtimes: Mapping[str, Runtime], row: asyncpg.Record) -> bool:
    return row["due_at"] is not None and row["due_at"] <= runtimes[row["service"]].clock.now()


async def drain_consumers(runtimes: Mapping[str, Runtime]) -> bool:
    """Wait until all that was sent here was taken, as long as anybody gets on; return whether it is."""
    places: Mapping[str, Mapping[TopicPartitionKey, int]] = {}
    deadline = time.monotonic() + _HEAR_SECONDS
    while time.monotonic() < deadline:
        if _all_consumed(runtimes, _sent_offsets(runtimes)):
            return True
        if places != (places := _positions(runtimes)):
            deadline = time.monotonic() + _HEAR_SECONDS
        await asyncio.sleep(_LOOK_SECONDS)
    return False


def _positions(runtimes: Mapping[str, Runtime]) -> dict[str, Mapping[TopicPartitionKey, int]]:
    """Return how far each consumer of this process has come."""
    return {
        name: dict(runtime.consumer.consumed)
        for name, runtime in runtimes.items()
        if runtime.consumer is not None
    }


def _sent_offsets(runtimes: Mapping[str, Runtime]) -> dict[TopicPartitionKey, int]:
    """Return how far each relay of this process has come."""
    return {
        (topic_of(name), partition): reached
        for name, runtime in runtimes.items()
        for partition, reached in runtime.relay.end_offsets.items()
    }


def _all_consumed(runtimes: Mapping[str, Runtime], sent: Mapping[TopicPartitionKey, int]) -> bool:
    """Return whether every consumer of this process has taken what was sent."""
    for runtime in runtimes.values():
        intake = runtime.consumer
        if intake is None:
            continue
        taken = intake.consumed
        for place, reached in sent.items():
            if place[0] in intake.topics and taken.get(place, 0) < reached:
                return False
    return True


async def _poll(runtimes: Mapping[str, Runtime]) -> Sequence[asyncpg.Record]:
    """Return, of each service, whether anything waits to be sent, and when its next timer falls due.

    One statement looks at all services that come to the database as the same role.
    """
    roles: dict[str, list[Runtime]] = defaultdict(list)
    for runtime in runtimes.values():
        roles[runtime.settings.database.get_secret_value()].append(runtime)
    looks = [
        members[0].pool.fetch(" union all ".join(_HAS_WORK.format(name=one.service.name) for one in members))
        for members in roles.values()
    ]
    return [row for found in await asyncio.gather(*looks) for row in found]


_HAS_WORK: Final = """
select '{name}' as service, exists (select from "{name}".pending) as pending,
       (select min(due_at) from "{name}".timers) as due_at
"""
