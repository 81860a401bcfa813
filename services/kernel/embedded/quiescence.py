"""Quiescence: wait until all services are idle, and move a virtual clock from one due time to the next."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import asyncpg

from contracts.event import topic_of
from services.kernel.clock import VirtualClock
from services.kernel.kafka.signals import TopicPartitionKey
from services.kernel.runtime.runtime import Runtime

_POLL_SECONDS: Final = 0.002
_IDLE_SECONDS: Final = 60.0


async def advance_clock(clock: VirtualClock, runtimes: Mapping[str, Runtime], to: datetime) -> bool:
    """Move time, stopping at each due time, and return whether everything due was done."""
    while (rest := await _wait_until_idle(runtimes)) is not None:
        following = min((at for at in rest.values() if at is not None), default=None)
        if following is None or following > to:  # nothing more falls due before
            clock.move(max(clock.now(), to))
            return True
        clock.move(max(clock.now(), following))
    clock.move(max(clock.now(), to))
    return False


async def wait_until_idle(runtimes: Mapping[str, Runtime]) -> bool:
    """Wait until everything due is done, sent and consumed, within bounds; return whether it is."""
    return await _wait_until_idle(runtimes) is not None


async def _wait_until_idle(runtimes: Mapping[str, Runtime]) -> dict[str, datetime | None] | None:
    """Wait until everything is done, sent and consumed; return when each service's next timer falls due.

    None where that took too long. The services are idle where a poll of the tables finds nothing to send and
    nothing due, everything sent had been consumed before it, and nothing was sent meanwhile: so no consumer
    was working while the tables were polled.
    """
    deadline = time.monotonic() + _IDLE_SECONDS
    while time.monotonic() < deadline:
        sent = _sent_offsets(runtimes)
        if _all_consumed(runtimes, sent):
            found = await _poll(runtimes)
            due = [runtimes[row["service"]] for row in found if _is_due(runtimes, row)]
            if due:
                await asyncio.gather(*(_fire_all(runtime) for runtime in due))
            elif not any(row["pending"] for row in found) and _sent_offsets(runtimes) == sent:
                return {row["service"]: row["due_at"] for row in found}
        await asyncio.sleep(_POLL_SECONDS)
    return None


async def _fire_all(runtime: Runtime) -> None:
    while await runtime.timers.fire():
        pass


def _is_due(runtimes: Mapping[str, Runtime], row: asyncpg.Record) -> bool:
    return row["due_at"] is not None and row["due_at"] <= runtimes[row["service"]].clock.now()


async def drain_consumers(runtimes: Mapping[str, Runtime], *, patience: float) -> bool:
    """Wait until the consumers have consumed everything sent here; return whether they have.

    It takes as long as any of them makes progress, and `patience` in seconds where none does.
    """
    positions: Mapping[str, Mapping[TopicPartitionKey, int]] = {}
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if _all_consumed(runtimes, _sent_offsets(runtimes)):
            return True
        if positions != (positions := _positions(runtimes)):
            deadline = time.monotonic() + patience
        await asyncio.sleep(_POLL_SECONDS)
    return False


def _positions(runtimes: Mapping[str, Runtime]) -> dict[str, Mapping[TopicPartitionKey, int]]:
    """Return the offsets that each consumer of this process has consumed."""
    return {
        name: dict(runtime.consumer.consumed)
        for name, runtime in runtimes.items()
        if runtime.consumer is not None
    }


def _sent_offsets(runtimes: Mapping[str, Runtime]) -> dict[TopicPartitionKey, int]:
    """Return the end offsets of each relay of this process."""
    return {
        (topic_of(name), partition): end
        for name, runtime in runtimes.items()
        for partition, end in runtime.relay.end_offsets.items()
    }


def _all_consumed(runtimes: Mapping[str, Runtime], sent: Mapping[TopicPartitionKey, int]) -> bool:
    """Return whether every consumer of this process has consumed what was sent."""
    for runtime in runtimes.values():
        consumer = runtime.consumer
        if consumer is None:
            continue
        consumed: Mapping[TopicPartitionKey, int] = consumer.consumed
        for partition, end in sent.items():
            if partition[0] in consumer.topics and consumed.get(partition, 0) < end:
                return False
    return True


async def _poll(runtimes: Mapping[str, Runtime]) -> Sequence[asyncpg.Record]:
    """Return of each service whether anything is pending, and when its next timer falls due.

    One statement polls all services that connect to the database as the same role.
    """
    roles: dict[str, list[Runtime]] = defaultdict(list)
    for runtime in runtimes.values():
        roles[runtime.settings.database.get_secret_value()].append(runtime)
    polls = [
        members[0].pool.fetch(" union all ".join(_HAS_WORK.format(name=one.service.name) for one in members))
        for members in roles.values()
    ]
    return [row for found in await asyncio.gather(*polls) for row in found]


_HAS_WORK: Final = """
select '{name}' as service, exists (select from "{name}".pending) as pending,
       (select min(due_at) from "{name}".timers) as due_at
"""
