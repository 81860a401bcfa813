"""Projection of the audit service: one entry for each event, read in the order of their time."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from contracts.consent import CustodyRecorded
from contracts.event import AccessRefused, EventDropped, Looked
from services.kernel.decider.service import ProjectionWriter, QueryConnection, RecordedEvent, StreamChange

Position = tuple[datetime, UUID]
"""The start of a page of results: after this time and event id."""

BEGINNING: Final[Position] = (datetime(1970, 1, 1, tzinfo=UTC), UUID(int=0))
END: Final = datetime(9999, 1, 1, tzinfo=UTC)
_MOST_WAITING: Final = 1_000


async def project(tx: ProjectionWriter, changes: Sequence[StreamChange]) -> None:
    """Write one entry for each event that a batch has consumed, and whose family a case is."""
    rows = [_entry(change, event) for change in changes for event in change.consumed]
    if rows:
        await tx.execute(_WRITE, *map(list, zip(*rows, strict=True)))
    families = {
        (change.tenant, change.stream_id): (event.seq, _persons(event.body))
        for change in changes
        for event in change.consumed
        if isinstance(event.body, CustodyRecorded)
    }
    if families:
        keep = [(*at, seq, persons) for at, (seq, persons) in families.items()]
        await tx.execute(_KEEP_FAMILIES, *map(list, zip(*keep, strict=True)))


def _persons(custody: CustodyRecorded) -> str:
    young = [custody.young_person_id] if custody.young_person_id else []
    return " ".join(str(person) for person in (*custody.holder_ids, *young))


def _entry(change: StreamChange, event: RecordedEvent) -> tuple[Any, ...]:
    case_id, what, purpose, slug = _details(change.stream_id, event)
    times = event.body.times if isinstance(event.body, AccessRefused) else 1
    return (
        change.tenant,
        case_id,
        change.stream_id,
        event.source,
        event.seq,
        event.event_id,
        event.type,
        event.time,
        event.actor,
        event.role,
        " ".join(what),
        purpose,
        slug,
        times,
        event.correlation,
        event.causation,
        _trace_id(event),
    )


def _trace_id(event: RecordedEvent) -> str | None:
    """Return the trace id of an event's traceparent (W3C); None where it has none."""
    return event.metadata.traceparent[3:35] or None


def _details(stream_id: UUID, event: RecordedEvent) -> tuple[UUID, tuple[str, ...], str | None, str | None]:
    """Return which case an event concerns, what of it was wanted, what for, and why it was refused.

    Of a discarded event: what was wrong with it, and why it was discarded.
    """
    match event.body:
        case Looked(case_id=case_id, what=what, purpose=purpose):
            return case_id, what, purpose, None
        case AccessRefused(case_id=case_id, wanted=wanted, slug=slug):
            return case_id, (wanted,), None, slug
        case EventDropped(parked_as=parked_as, why=why):
            return stream_id, (parked_as,), why, None
    return stream_id, (), None, None


async def trail_of(
    tx: QueryConnection, *, tenant: str, case_id: UUID, after: Position, limit: int
) -> list[dict[str, Any]]:
    """Return a page of what happened in a case, oldest first."""
    return [dict(row) for row in await tx.fetch(_OF_CASE, tenant, case_id, *after, limit)]


async def events_of(tx: QueryConnection, *, tenant: str, case_id: UUID, limit: int) -> list[dict[str, Any]]:
    """Return the latest events of a case in their order; who has looked or was refused is left out."""
    return [dict(row) for row in await tx.fetch(_EVENTS, tenant, case_id, limit)]


async def search(
    tx: QueryConnection,
    *,
    tenant: str,
    actor: UUID | None,
    type: str | None,  # noqa: A002  the word of CloudEvents
    after: Position,
    until: datetime,
    limit: int,
) -> list[dict[str, Any]]:
    """Return a page of what a person did, or of what happened of a type, before a time; oldest first."""
    if actor is not None:
        rows = await tx.fetch(_BY_ACTOR, tenant, *after, until, limit, actor, type)
    elif type is not None:
        rows = await tx.fetch(_BY_TYPE, tenant, *after, until, limit, type)
    else:
        rows = await tx.fetch(_BY_TIME, tenant, *after, until, limit)
    return [dict(row) for row in rows]


async def is_of_family(tx: QueryConnection, *, tenant: str, case_id: UUID, person_id: UUID) -> bool:
    """Return whether somebody holds parental responsibility in a case, or is its young person."""
    return bool(await tx.fetchval(_IS_OF_FAMILY, tenant, case_id, person_id))


async def looks_of(
    tx: QueryConnection, *, tenant: str, case_id: UUID, person_id: UUID, limit: int
) -> list[dict[str, Any]]:
    """Return who has looked at a case, by day, role and purpose, the latest first.

    Of the family only the person's own looks: when another parent or the young person signs in is their own.
    """
    return [dict(row) for row in await tx.fetch(_LOOKS, tenant, case_id, limit, person_id)]


async def waiting(tx: QueryConnection, *, tenant: str) -> list[dict[str, Any]]:
    """Return the municipality's events that have arrived and could not be applied, oldest first."""
    return [dict(row) for row in await tx.fetch(_WAITING, tenant, _MOST_WAITING)]


async def figures(tx: QueryConnection, *, tenant: str) -> list[dict[str, Any]]:
    """Return how many entries each source has, in how many streams, and how many of these have holes."""
    return [dict(row) for row in await tx.fetch(_FIGURES, tenant)]


async def parked(tx: QueryConnection, *, tenant: str) -> list[dict[str, Any]]:
    """Return how many events of each source wait, by reason; those of no known municipality are one row."""
    rows = [dict(row) for row in await tx.fetch(_PARKED, tenant)]
    unassigned = await tx.fetchval(_UNASSIGNED)
    return [*rows, {"source": None, "reason": "tenant_unknown", "events": unassigned}] if unassigned else rows


async def since(tx: QueryConnection, *, tenant: str) -> datetime | None:
    """Return the time of the municipality's first entry."""
    found: datetime | None = await tx.fetchval(_SINCE, tenant)
    return found


_WRITE: Final = """
insert into entries (tenant, case_id, stream_id, source, seq, event_id, type, at, actor, role, what, purpose,
                     slug, times, correlation, causation, trace_id)
select tenant, case_id, stream_id, source, seq, event_id, type, at, actor, role,
       string_to_array(what, ' '), purpose, slug, times, correlation, causation, trace_id
from unnest($1::text[], $2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::uuid[], $7::text[],
            $8::timestamptz[], $9::uuid[], $10::text[], $11::text[], $12::text[], $13::text[],
            $14::integer[], $15::uuid[], $16::uuid[], $17::text[])
     as e (tenant, case_id, stream_id, source, seq, event_id, type, at, actor, role, what, purpose, slug,
           times, correlation, causation, trace_id)
"""

_OF_CASE: Final = """
select event_id, case_id, stream_id, source, seq, type, at, actor, role, what, purpose, slug, times,
       correlation, causation
from entries
where tenant = $1 and case_id = $2 and (at, event_id) > ($3, $4)
order by at, event_id
limit $5
"""

_EVENTS: Final = """
select * from (
  select event_id, stream_id, source, seq, type, at, correlation, causation, trace_id
  from entries
  where tenant = $1 and case_id = $2 and not type ~ '\\.(looked|access_refused)\\.v'
  order by at desc, event_id desc
  limit $3
) as latest order by at, event_id
"""

_BY_ACTOR: Final = """
select event_id, case_id, stream_id, source, seq, type, at, actor, role, what, purpose, slug, times,
       correlation, causation
from entries
where tenant = $1 and actor = $6 and ($7::text is null or type = $7) and (at, event_id) > ($2, $3) and at < $4
order by at, event_id
limit $5
"""

_BY_TYPE: Final = """
select event_id, case_id, stream_id, source, seq, type, at, actor, role, what, purpose, slug, times,
       correlation, causation
from entries
where tenant = $1 and type = $6 and (at, event_id) > ($2, $3) and at < $4
order by at, event_id
limit $5
"""

_BY_TIME: Final = """
select event_id, case_id, stream_id, source, seq, type, at, actor, role, what, purpose, slug, times,
       correlation, causation
from entries
where tenant = $1 and (at, event_id) > ($2, $3) and at < $4
order by at, event_id
limit $5
"""

_KEEP_FAMILIES: Final = """
insert into families as old (tenant, case_id, seq, persons)
select tenant, case_id, seq, string_to_array(persons, ' ')::uuid[]
from unnest($1::text[], $2::uuid[], $3::bigint[], $4::text[]) as f (tenant, case_id, seq, persons)
on conflict on constraint families_pk do update
set seq = greatest(old.seq, excluded.seq),
    persons = case when excluded.seq > old.seq then excluded.persons else old.persons end
"""

_IS_OF_FAMILY: Final = """
select exists (select from families where tenant = $1 and case_id = $2 and $3 = any (persons))
"""

_LOOKS: Final = """
select (at at time zone 'Europe/Copenhagen')::date as day, role, purpose, count(*) as times
from entries
where tenant = $1 and case_id = $2 and type like '%.looked.v1'
  and (role not in ('guardian', 'young_person') or actor = $4)
group by 1, 2, 3
order by 1 desc, 2, 3
limit $3
"""

_FIGURES: Final = """
select source, sum(entries)::bigint as entries, count(*) as streams,
       count(*) filter (where highest <> entries) as with_holes, max(latest) as latest
from (
  select source, stream_id, count(*) as entries, max(seq) as highest, max(at) as latest
  from entries
  where tenant = $1
  group by source, stream_id
) as marks
group by source
order by source
"""

_WAITING: Final = """
select stream_id, coalesce(source, split_part(topic, '.', 2)) as source, seq, event_id,
       headers::text as headers,
       value, reason, parked_at
from parked_events where tenant = $1 order by id limit $2
"""

_PARKED: Final = """
select coalesce(source, split_part(topic, '.', 2)) as source, reason, count(*) as events
from parked_events where tenant = $1
group by 1, 2 order by 1, 2
"""

_UNASSIGNED: Final = "select parked_without_tenant()"

_SINCE: Final = "select at from entries where tenant = $1 order by at, event_id limit 1"
