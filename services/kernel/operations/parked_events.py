"""Operations on parked events for the command line: list, show, replay, discard; a body is never shown."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from contracts.event import WhyDropped
from services.kernel.clock import SystemClock
from services.kernel.consumer.redelivery import Redelivery
from services.kernel.decider.service import Service
from services.kernel.errors import NotFound, ProblemError
from services.kernel.operations.accept_source import SourceAcceptance
from services.kernel.operations.discard import Discarding
from services.kernel.runtime.assembly import key_store_of, models_of
from services.kernel.runtime.runtime import Runtime
from services.kernel.settings import Settings
from services.kernel.streams.parked import visible_type


class NoDatabase(ProblemError):
    """No database is named: set SAMSPIL_DATABASE, or name a data folder with --data."""


class DatabaseUnreachable(ProblemError):
    """The database does not answer: check its address and the credentials."""


class EmbeddedServerStopped(ProblemError):
    """The server of this data folder does not run: start it with `samspil up`."""


@asynccontextmanager
async def open_service(service: Service, settings: Settings) -> AsyncIterator[Runtime]:
    """Open a service's database without running the service."""
    if not settings.database.get_secret_value():
        raise NoDatabase
    async with key_store_of(settings) as key_store:
        runtime = Runtime(
            service, settings, clock=SystemClock(), models=models_of(settings), key_store=key_store
        )
        try:
            await runtime.start(run_loops=False, serve_requests=False)
        except OSError as fault:
            if settings.mode == "embedded":
                raise EmbeddedServerStopped from None
            raise DatabaseUnreachable(type(fault).__name__) from None
        try:
            yield runtime
        finally:
            await runtime.close_pools()


async def list_parked(
    runtime: Runtime,
    *,
    stream_id: UUID | None = None,
    tenant: str | None = None,
    reason: str | None = None,
    older_than: timedelta | None = None,
    most: int = 1000,
) -> list[dict[str, Any]]:
    """Return what is parked, oldest first: service, stream, type, reason, age; never a body."""
    rows = await runtime.pool.fetch(_LIST, stream_id, tenant, reason, older_than or timedelta(), most)
    return [_shown(runtime, row) for row in rows]


async def show_parked(runtime: Runtime, parked_id: int) -> dict[str, Any]:
    """Return one parked event's offset, type and attempts, and what waits behind it; raise `NotFound`."""
    row = await runtime.pool.fetchrow(_SHOW, parked_id)
    if row is None:
        raise NotFound(f"nothing is parked under {parked_id}")
    return _shown(runtime, row)


async def replay_parked(
    runtime: Runtime,
    *,
    parked_id: int | None = None,
    stream_id: UUID | None = None,
    tenant: str | None = None,
    reason: str | None = None,
) -> dict[str, int]:
    """Replay one event, one stream, a municipality's, those with a reason, or all, in order; return counts.

    `left` counts the chosen events that are still parked. Raises `NotFound` where there is no such event.
    """
    replay = Redelivery(runtime.processor)
    async with runtime.pool.acquire() as tx:
        if parked_id is not None:
            row = await tx.fetchrow("select * from parked_events where id = $1", parked_id)
            if row is None:
                raise NotFound(f"nothing is parked under {parked_id}")
            applied = await replay.redeliver(tx, row)
            left = await tx.fetchval("select count(*) from parked_events where id = $1", parked_id)
            return {"streams": int(row["stream_id"] is not None), "applied": applied, "left": left}
        apart = await tx.fetch(_APART, tenant, reason) if stream_id is None else []
        applied = sum([await replay.redeliver(tx, row) for row in apart])
        streams = [tuple(row) for row in await tx.fetch(_STREAMS, stream_id, tenant, reason)]
        for stream in streams:
            applied += await replay.drain(tx, stream)
        tenants, ids = [stream[0] for stream in streams], [stream[1] for stream in streams]
        left = await tx.fetchval(_LEFT, tenants, ids, [row["id"] for row in apart])
    return {"streams": len(streams), "applied": applied, "left": left}


async def discard_parked(
    runtime: Runtime,
    parked_id: int,
    *,
    why: WhyDropped,
    by: UUID,
    tenant: str | None = None,
    proposed_by: UUID | None = None,
) -> dict[str, Any]:
    """Discard one parked event for a reason in the audit trail; return the stream that records it.

    `by` is the random id of the person who decides, after `proposed_by` where two do; `tenant` is needed for
    a message that names none.
    Raises what `Discarding.discard` raises.
    """
    async with runtime.pool.acquire() as tx:
        dropping = Discarding(runtime.processor, runtime.clock)
        recorded_in = await dropping.discard(
            tx, parked_id, why=why, by=by, tenant=tenant, proposed_by=proposed_by
        )
        waiting = await tx.fetchval(_WAITING, *recorded_in)
    return {"dropped": parked_id, "why": why, "recorded_in": recorded_in[1], "left_in_stream": waiting}


async def accept_source(runtime: Runtime, parked_id: int, *, by: UUID) -> dict[str, Any]:
    """Accept the events that a diverged source sends now; return what became of the parked ones.

    Raises what `SourceAcceptance.accept` raises.
    """
    async with runtime.pool.acquire() as tx:
        stream, applied = await SourceAcceptance(runtime.processor, runtime.clock).accept(
            tx, parked_id, by=by
        )
        left = await tx.fetchval(_WAITING, *stream)
    return {"stream": stream[1], "applied": applied, "left_in_stream": left}


def _shown(runtime: Runtime, row: Any) -> dict[str, Any]:
    return {"service": runtime.service.name, **dict(row), "type": visible_type(row["type"])}


_LIST: Final = """
select id, tenant, stream_id, source, seq, type, reason, attempts, parked_at,
       extract(epoch from now() - parked_at)::bigint as age_seconds
from parked_events
where ($1::uuid is null or stream_id = $1) and ($2::text is null or tenant = $2)
  and ($3::text is null or reason = $3) and parked_at <= now() - $4::interval
order by parked_at, id limit $5
"""

_SHOW: Final = """
select p.id, p.tenant, p.stream_id, p.source, p.seq, p.event_id, p.type, p.topic, p.kafka_partition,
       p.kafka_offset, p.reason, p.attempts, p.parked_at,
       extract(epoch from now() - p.parked_at)::bigint as age_seconds,
       octet_length(p.value) as bytes,
       (select (s.marks -> p.source ->> 0)::bigint from streams s
        where s.tenant = p.tenant and s.stream_id = p.stream_id) as taken_last,
       (select count(*) from parked_events w
        where w.tenant = p.tenant and w.stream_id = p.stream_id and w.id <> p.id) as waiting_with_it
from parked_events p where p.id = $1
"""

_APART: Final = """
select * from parked_events
where stream_id is null and ($1::text is null or tenant = $1) and ($2::text is null or reason = $2)
order by topic, kafka_partition, kafka_offset
"""

_STREAMS: Final = """
select tenant, stream_id from parked_events
where stream_id is not null and ($1::uuid is null or stream_id = $1) and ($2::text is null or tenant = $2)
group by tenant, stream_id having $3::text is null or bool_or(reason = $3) order by min(id)
"""

_WAITING: Final = "select count(*) from parked_events where tenant = $1 and stream_id = $2"

_LEFT: Final = """
select count(*) from parked_events
where (tenant, stream_id) in (select * from unnest($1::text[], $2::uuid[])) or id = any($3::bigint[])
"""
