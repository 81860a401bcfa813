"""Timelines of the event log: each begins where a database was restored or a standby was promoted."""

from collections.abc import Sequence
from typing import Any, Final

import asyncpg

TimelineStart = tuple[int, int]
"""Log id at which a later timeline begins, and its time in milliseconds since 1970."""


async def register_timeline(session: Any) -> None:
    """Register the timeline of a session's events, and let a synchronous standby catch up first.

    What the session reads afterwards is on that standby. Raises `asyncpg.PostgresError` on a server that is a
    standby itself. A database without migrations is accepted: `/ready` reports it.
    """
    try:
        await session.execute("select register_timeline()")
    except asyncpg.UndefinedFunctionError:
        return


async def later_timelines(session: Any) -> Sequence[TimelineStart]:
    """Return the timelines after the first, latest first; none where the log has never forked."""
    try:
        found = await session.fetch(_LATER_TIMELINES)
    except asyncpg.UndefinedTableError:
        return ()
    return [(row["first_id"], row["started_ms"]) for row in found]


async def latest(session: Any) -> int:
    """Return the log id at which the latest timeline begins."""
    first_id: int = await session.fetchval("select max(first_id) from timelines")
    return first_id


async def acknowledge(session: Any, first_id: int) -> None:
    """Mark a timeline, and those before it, as acknowledged: an operator has searched for its lost events."""
    await session.execute(_ACKNOWLEDGE, first_id)


_ACKNOWLEDGE: Final = """
update timelines set acknowledged_at = now() where first_id <= $1 and acknowledged_at is null
"""

_LATER_TIMELINES: Final = """
select first_id, started_ms from timelines
where first_id > (select min(first_id) from timelines) order by first_id desc
"""
