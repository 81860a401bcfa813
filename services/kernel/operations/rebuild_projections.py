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
from services.kernel.ids import StreamKey
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
    streams, last = 0, ("", UUID(int=0))
    while batch := await _rebuild_batch(tx, service, last):
        streams, last = streams + len(batch), batch[-1]
    return streams


async def _rebuild_batch(tx: Tx, service: Service, after: StreamKey) -> list[StreamKey]:
    """Rebuild the next streams in the order of their keys, and return them."""
    assert service.rebuild is not None  # noqa: S101  refused before
    async with tx.transaction():
        rows = await tx.fetch(_STREAMS, *after, _BATCH)
        keys = [_key(row) for row in rows]
        if not keys:
            return []
        tenants, ids = [tenant for tenant, _ in keys], [stream_id for _, stream_id in keys]
        events = await _events_of(tx, service, tenants, ids)
        for row in rows:
            if row["seq"] != len(events[_key(row)]):
                raise LogIncomplete(f"stream {row['stream_id']}")
        for table, column in service.tables.items():
            await tx.execute(_DELETE_ROWS.format(table=table, column=column), tenants, ids)
        await service.rebuild(tx, [_whole(service, row, events[_key(row)]) for row in rows])
    return keys


async def _events_of(
    tx: Tx, service: Service, tenants: Sequence[str], ids: Sequence[UUID]
) -> dict[StreamKey, tuple[RecordedEvent, ...]]:
    """Return the events of streams, in order."""
    events: dict[StreamKey, list[RecordedEvent]] = defaultdict(list)
    for row in await tx.fetch(_LOGGED, tenants, ids):
        body = _body(row["type"], row["data"])
        meta = msgspec.json.decode(row["meta"], type=EventMetadata)
        events[_key(row)].append(
            RecordedEvent(row["event_id"], service.name, row["seq"], row["type"], body, meta)
        )
    return defaultdict(tuple, {key: tuple(sent) for key, sent in events.items()})


def _key(row: Any) -> StreamKey:
    return row["tenant"], row["stream_id"]


def _body(event_type: str, data: str) -> Event | None:
    kind = EVENTS.get(event_type)
    return None if kind is None else kind.model_validate_json(data)


def _whole(service: Service, row: Any, event: tuple[RecordedEvent, ...]) -> StreamChange:
    state = msgspec.json.decode(row["state"], type=service.state)
    return StreamChange(row["stream_id"], row["tenant"], row["version"], None, state, event, ())


_STREAMS: Final = """
select tenant, stream_id, version, seq, state from streams
where (tenant, stream_id) > ($1, $2) and state is not null order by tenant, stream_id limit $3
for no key update
"""

_LOGGED: Final = """
select e.tenant, e.stream_id, e.event_id, e.seq, e.type, e.meta, e.data
from unnest($1::text[], $2::uuid[]) as w (tenant, stream_id)
join event_log e on e.tenant = w.tenant and e.stream_id = w.stream_id
order by e.tenant, e.stream_id, e.seq
"""

_DELETE_ROWS: Final = """
delete from {table} t using unnest($1::text[], $2::uuid[]) as w (tenant, stream_id)
where t.tenant = w.tenant and t.{column} = w.stream_id
"""

_DELETE_ORPHANS: Final = """
delete from {table} t where not exists (
  select from streams s where s.tenant = t.tenant and s.stream_id = t.{column} and s.state is not null
)
"""
