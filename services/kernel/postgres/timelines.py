"""Histories of a database that was restored, or replaced by a standby: in which of them an event was told."""

from collections.abc import Sequence
from typing import Any, Final

import asyncpg
from msgspec import structs

from services.kernel.kafka.cloudevents import OutgoingEvent

TimelineStart = tuple[int, int]
"""The log id from which a later history was told, and when it began, in milliseconds since 1970."""


async def register_timeline(session: Any) -> None:
    """Note whose history the session's events will belong to, and let a synchronous standby catch up first.

    Whatever is seen afterwards is on that standby. Raises `asyncpg.PostgresError` on a server that only
    follows another. A database without migrations is let pass: `/ready` tells of it.
    """
    try:
        await session.execute("select enter_history()")
    except asyncpg.UndefinedFunctionError:
        return


async def later_timelines(session: Any) -> Sequence[TimelineStart]:
    """Return the later histories, latest first; none where all was told in one."""
    try:
        rows = await session.fetch(_LATER_TIMELINES)
    except asyncpg.UndefinedTableError:
        return ()
    return [(row["first_id"], row["began"]) for row in rows]


def with_timeline(event: OutgoingEvent, log_id: int, later: Sequence[TimelineStart]) -> OutgoingEvent:
    """Return an event with the history that it was told in; one of the first has none."""
    for first_id, began in later:
        if log_id > first_id:
            return structs.replace(event, timeline=began)
    return event


async def latest(session: Any) -> int:
    """Return from which log id the latest history is told."""
    first_id: int = await session.fetchval("select max(first_id) from histories")
    return first_id


async def acknowledge(session: Any, first_id: int) -> None:
    """Note that somebody has asked what was lost when this history began, and those before it."""
    await session.execute(
        "update histories set asked_at = now() where first_id <= $1 and asked_at is null", first_id
    )


_LATER_TIMELINES: Final = """
select first_id, began from histories
where first_id > (select min(first_id) from histories) order by first_id desc
"""
