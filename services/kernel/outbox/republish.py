"""Republish: queue events from the log again, for an empty broker or a consumer that missed some."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from services.kernel.kafka.topics import make_topics
from services.kernel.postgres.connections import Tx, connect
from services.kernel.settings import Settings

_STATEMENT_SECONDS: Final = 600.0


async def republish(
    tx: Tx,
    *,
    stream_id: UUID | None = None,
    tenant: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    first_seq: int = 1,
    last_seq: int | None = None,
    latest: int | None = None,
) -> int:
    """Queue the log, all of it or a part, and return how many events; twice is harmless.

    Every event is sent with the id and sequence that it had, so that a consumer recognises a duplicate.
    `latest` limits it to so many, the last of the log, which is not read any further back.
    """
    count: int = await tx.fetchval(
        _REQUEUE, stream_id, since, until, first_seq, last_seq, latest, tenant, timeout=_STATEMENT_SECONDS
    )
    return count


async def refill(settings_of: Mapping[str, Settings], *, latest: int | None = None) -> None:
    """Queue whole logs, or their latest events, and make the topics of an empty broker.

    `settings_of` holds the settings of each service by its name. No client may use the broker yet: the
    embedded one makes a missing topic, of its own size, on any request.
    """
    await asyncio.gather(*(_queue(name, settings, latest) for name, settings in settings_of.items()))
    for settings in list(settings_of.values())[:1]:
        await make_topics(list(settings_of), settings)


async def _queue(name: str, settings: Settings, latest: int | None) -> None:
    session = await connect(settings.database.get_secret_value(), schema=name)
    try:
        await republish(session, latest=latest)
    finally:
        await session.close()


_REQUEUE: Final = """
with before as (
  select created_on, id from event_log where $6::bigint is not null
  order by created_on desc, id desc offset $6 limit 1
), wanted as (
  select id, created_on, tenant, (row_number() over (order by id) - 1) / 500 as chunk
  from event_log
  where ($1::uuid is null or stream_id = $1) and ($7::text is null or tenant = $7)
    and ($2::timestamptz is null or (meta ->> 0)::timestamptz >= $2)
    and ($3::timestamptz is null or (meta ->> 0)::timestamptz < $3)
    and seq >= $4 and ($5::bigint is null or seq <= $5)
    and created_on >= coalesce((select created_on from before), '-infinity')
    and id > coalesce((select id from before), 0)
), queued as (
  insert into pending as old (first_id, tenant, created_on, ids)
  select min(id), tenant, min(created_on), array_agg(id order by id) from wanted
  group by chunk, created_on, tenant
  on conflict (first_id, tenant) do update
  set ids = array(select distinct unnest(old.ids || excluded.ids) order by 1)
)
select count(*) from wanted
"""
