"""Fill a database with a long past: what a few cases left in it, many times over under other ids.

Ids are mapped alike wherever they stand, so that a copied stream's marks name the copied events of the
services that it subscribes to, so a republished log is all duplicates.
"""

from collections.abc import Iterable
from typing import Final

import asyncpg

from bench.load import InvalidRunError
from services.kernel.postgres.connections import Session, connect

_LEFT: Final = (
    "migrations", "pending", "consent_watermarks", "parked_events", "idempotency_keys", "effects",
    "data_keys", "internal_keys",  # each is wrapped for one person or purpose
    "access_streams",
)  # fmt: skip
"""What a copy would falsify, or what is not kept."""

_AS_ID: Final = {
    "uuid": "pg_temp.copied({0}, n)",
    "uuid[]": "array(select pg_temp.copied(u, n) from unnest({0}) as u)",
}


async def fill(dsn: str, services: Iterable[str], events: int, *, days: int = 1) -> int:
    """Bring all logs together to about so many events, over the last days; return how many there are now.

    All that is there is copied as often as it takes, and nothing is taken away. Raises `InvalidRunError`
    where there is nothing to copy, or a copy is not whole.
    """
    sessions = {name: await connect(dsn, schema=name) for name in services}
    try:
        there = sum([await _events(session) for session in sessions.values()])
        if not there:
            raise InvalidRunError("an empty log has nothing to copy")
        copies = max(0, round(events / there) - 1)
        for session in sessions.values():
            await _multiply(session, copies, days)
        found = sum([await _events(session) for session in sessions.values()])
        if found != there * (copies + 1):
            raise InvalidRunError(f"{copies} copies of {there} events made {found} of them")
        return found
    finally:
        for session in sessions.values():
            await session.close()


async def settle_tables(dsn: str) -> None:
    """Bring tables and indexes to where autovacuum would have them, and what was written to disk."""
    session = await asyncpg.connect(dsn)
    await session.execute("vacuum analyze")
    await session.execute("checkpoint")
    await session.close()


async def _events(session: Session) -> int:
    count: int = await session.fetchval("select count(*) from event_log")
    return count


async def _multiply(session: Session, copies: int, days: int) -> None:
    await session.execute("set enable_seqscan = on")
    await session.execute(_COPIED)
    await session.execute(_PAST.format(days=days))
    for row in await session.fetch(_TABLES, list(_LEFT)):
        await session.execute(_copy_of(row), copies, days)
    await session.execute("analyze")


def _copy_of(row: asyncpg.Record) -> str:
    """Return the statement that copies a table so many times, over so many days."""
    columns = [
        (name, _value(row["name"], name, kind))
        for name, kind in zip(row["columns"], row["kinds"], strict=True)
        if (row["name"], name) != ("event_log", "id")
    ]
    names = ", ".join(f'"{name}"' for name, _ in columns)
    values = ", ".join(value for _, value in columns)
    order = "order by n, id" if row["name"] == "event_log" else ""
    return f"""
      insert into {row["name"]} ({names})
      select {values} from {row["name"]} cross join generate_series(1, $1::integer) as n
      where $2::integer > 0 {order} on conflict do nothing
    """  # noqa: S608  names from the catalogue of our own schema


def _value(table: str, column: str, kind: str) -> str:
    if (table, column) == ("event_log", "created_on"):
        return "current_date - n % $2"
    if (table, column) == ("streams", "marks"):
        return _MARKS
    return _AS_ID.get(kind, "{0}").format(f'"{column}"')


# Ids that hold their time stay near it, so that indexes are as dense as they would be.
_COPIED: Final = """
create or replace function pg_temp.copied(id uuid, n integer) returns uuid
language sql immutable parallel safe
return case
  when substr(id::text, 15, 1) = '7' then (
    lpad(to_hex(('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint - n), 12, '0')
    || substr(md5(id::text || n), 13)
  )::uuid
  else md5(id::text || n)::uuid
end
"""

_MARKS: Final = """(
  select coalesce(
    jsonb_object_agg(m.key, jsonb_build_array(m.value -> 0, pg_temp.copied((m.value ->> 1)::uuid, n))), '{}'
  )
  from jsonb_each(marks) as m
)"""

_PAST: Final = """
do $$
declare
  day date;
  part text;
begin
  for day in select generate_series(current_date - {days} + 1, current_date, interval '1 day')::date loop
    part := 'event_log_' || to_char(day, 'YYYYMMDD');
    if to_regclass(part) is null then
      execute format('create table %I partition of event_log for values from (%L) to (%L)',
                     part, day, day + 1);
    end if;
  end loop;
end
$$
"""

_TABLES: Final = """
select c.relname as name, array_agg(a.attname::text order by a.attnum) as columns,
       array_agg(format_type(a.atttypid, a.atttypmod) order by a.attnum) as kinds
from pg_class c join pg_attribute a on a.attrelid = c.oid
where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
  and c.relname <> all($1) and a.attnum > 0 and not a.attisdropped
  and a.attgenerated = '' and a.attidentity = ''
group by c.relname
"""
