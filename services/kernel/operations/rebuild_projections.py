"""Rebuild a service's projections from its streams and its log, in batches, also while it runs."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from contracts.event import Event
from contracts.registry import EVENTS
from services.kernel.decider.service import EventMetadata, RecordedEvent, Service, StreamChange
from services.kernel.errors import ProblemError
from services.kernel.postgres.connections import Tx, connect
from services.kernel.runtime.runtime import Runtime

_BATCH: Final = 200


class HasEffects(ProblemError):
    """This service has effects outside the database, such as mails: its tables cannot be rebuilt."""


class NotRebuildable(ProblemError):
    """This service's tables hold the only copy of what it consumed: resend that instead of a rebuild."""


class LogIncomplete(ProblemError):
    """The log no longer holds all events of a stream, so that its rows cannot be rebuilt."""


async def rebuild(runtime: Runtime) -> dict[str, int]:
    """Rebuild a service's tables, and return how many streams were read and rows each table now holds.

    Each batch of streams is locked, deleted from the tables and rebuilt in one transaction: readers see
    what was there or what is there, writers of these streams wait for a moment. Raises `HasEffects`,
    `NotRebuildable` and `LogIncomplete`.
    """
    service = runtime.service
    _refuse(service)
    connection = await connect(runtime.settings.database.get_secret_value(), schema=service.name)
    try:
        for table, column in service.tables.items():
            await connection.execute(_DELETE_ORPHANS.format(table=table, column=column))
        # A row that had strayed to another stream keeps its true stream's row out the first time.
        await _rebuild_all(connection, service)
        streams = await _rebuild_all(connection, service)
        rows = {table: await connection.fetchval(f"select count(*) from {table}") for table in service.tables}  # noqa: S608  a name of our own
    finally:
        await connection.close()
    return {"streams": streams, **rows}


def _refuse(service: Service) -> None:
    if service.effect_handlers:
        raise HasEffects
    if service.rebuild is None:
        raise NotRebuildable(f"`samspil resend` of the services that {service.name} consumes")


async def _rebuild_all(tx: Tx, service: Service) -> int:
    streams, last = 0, UUID(int=0)
    while batch := await _rebuild_batch(tx, service, last):
        streams, last = streams + len(batch), batch[-1]
    return streams


async def _rebuild_batch(tx: Tx, service: Service, after: UUID) -> list[UUID]:
    """Rebuild the next streams in the order of their ids, and return them."""
    assert service.rebuild is not None  # noqa: S101  refused before
    async with tx.transaction():
        rows = await tx.fetch(_STREAMS, after, _BATCH)
        ids = [row["stream_id"] for row in rows]
        if not ids:
            return []
        events = await _events_of(tx, service, ids)
        for row in rows:
            if row["seq"] != len(events[row["stream_id"]]):
                raise LogIncomplete(f"stream {row['stream_id']}")
        for table, column in service.tables.items():
            await tx.execute(f"delete from {table} where {column} = any($1::uuid[])", ids)  # noqa: S608  names of our own
        await service.rebuild(tx, [_whole(service, row, events[row["stream_id"]]) for row in rows])
    return ids


async def _events_of(tx: Tx, service: Service, ids: Sequence[UUID]) -> dict[UUID, tuple[RecordedEvent, ...]]:
    """Return the events of streams, in order."""
    events: dict[UUID, list[RecordedEvent]] = defaultdict(list)
    for row in await tx.fetch(_LOGGED, ids):
        body = _body(row["type"], row["data"])
        meta = msgspec.json.decode(row["meta"], type=EventMetadata)
        events[row["stream_id"]].append(
            RecordedEvent(row["event_id"], service.name, row["seq"], row["type"], body, meta)
        )
    return defaultdict(tuple, {stream_id: tuple(sent) for stream_id, sent in events.items()})


def _body(event_type: str, data: str) -> Event | None:
    kind = EVENTS.get(event_type)
    return None if kind is None else kind.model_validate_json(data)


def _whole(service: Service, row: Any, event: tuple[RecordedEvent, ...]) -> StreamChange:
    state = msgspec.json.decode(row["state"], type=service.state)
    return StreamChange(row["stream_id"], row["tenant"], row["version"], None, state, event, ())


_STREAMS: Final = """
select stream_id, tenant, version, seq, state from streams
where stream_id > $1 and state is not null order by stream_id limit $2
for no key update
"""

_LOGGED: Final = """
select stream_id, event_id, seq, type, meta, data from event_log
where stream_id = any($1::uuid[]) order by stream_id, seq
"""

_DELETE_ORPHANS: Final = """
delete from {table} t where not exists (
  select from streams s where s.stream_id = t.{column} and s.state is not null
)
"""
