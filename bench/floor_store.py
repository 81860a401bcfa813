"""The tables and statements of the hand-written floor: everything about a batch in one statement."""

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement

from bench.hop import STEPS, Batch
from bench.load import InvalidRunError

SCHEMA: Final = "floor"

_PLAN: Final = {
    "search_path": SCHEMA,
    "plan_cache_mode": "force_generic_plan",  # nothing about a batch's size or values is worth a new plan
    "enable_hashjoin": "off",  # the plan is made on empty tables: keep it from reading all of a full one
    "enable_mergejoin": "off",
    "enable_seqscan": "off",
    "jit": "off",
}

_TABLES: Final = f"""
drop schema if exists {SCHEMA} cascade;
create schema {SCHEMA};
set search_path to {SCHEMA};
create table cases (case_id uuid primary key, state smallint not null) with (fillfactor = 50);
create table inbox (service text, event_id uuid, primary key (service, event_id));
create table audit (
    audit_id bigint generated always as identity primary key, event_id uuid not null, case_id uuid not null,
    step smallint not null, service text not null, at timestamptz not null default clock_timestamp()
);
create table outbox (
    batch bigint, position integer, case_id uuid not null, step smallint not null, head text not null,
    body text not null, primary key (batch, position)
);
create sequence batches;
"""

_HOP: Final = r"""
with consumed as materialized (
    select *
    from unnest(
        string_to_array($2, ',')::uuid[], string_to_array($3, ',')::uuid[],
        string_to_array($4, ',')::smallint[], string_to_array($5, E'\n'), string_to_array($6, E'\n')
    ) with ordinality as input (event_id, case_id, step, head, body, position)
), fresh as (
    insert into inbox (service, event_id)
    select $1, event_id from consumed
    on conflict do nothing
    returning event_id
), moved as (
    update cases set state = consumed.step
    from consumed
    where cases.case_id = consumed.case_id
        and cases.state = consumed.step - 1
        and (consumed.event_id in (select event_id from fresh)) is true
    returning consumed.*
), noted as (
    insert into audit (event_id, case_id, step, service)
    select event_id, case_id, step, $1 from moved
), numbered as materialized (
    select nextval('batches') as batch
), kept as (
    insert into outbox (batch, position, case_id, step, head, body)
    select batch, position, case_id, step + 1, head, body
    from moved, numbered
    where body <> ''
)
select (select batch from numbered), array(select position::integer from moved)
"""

_CHECK: Final = """
select
    (select count(*) from audit) as rows,
    (select count(distinct (case_id, step)) from audit) as hops,
    (select count(*) from cases where state = $1) as ended,
    (select count(*) from outbox) as unsent,
    (
        select count(*)
        from (select at < lag(at) over (partition by case_id order by step) as early from audit) as checked
        where early
    ) as early
"""

Connection: TypeAlias = "asyncpg.Connection[Any]"
Hop: TypeAlias = "PreparedStatement[Any]"


async def make_tables(dsn: str) -> None:
    """Make the floor's schema anew."""
    await _execute(dsn, _TABLES)


async def drop_tables(dsn: str) -> None:
    """Take the floor's schema away."""
    await _execute(dsn, f"drop schema {SCHEMA} cascade")


async def connect(dsn: str, *, durable: bool) -> Connection:
    """Open a connection whose commits are on disk, or one whose last commits a crash may take back."""
    wait = "on" if durable else "off"
    return await asyncpg.connect(dsn, server_settings=_PLAN | {"synchronous_commit": wait})


async def prepare(connection: Connection) -> Hop:
    """Prepare the statement of a batch."""
    return await connection.prepare(_HOP)


async def save(hop: Hop, service: str, batch: Batch) -> tuple[int, list[int]]:
    """Save a batch; return its number in the outbox and the indexes of the events that moved their case.

    Each column travels as one text: PostgreSQL takes it apart faster than Python puts an array together.
    """
    ids, cases, steps, _, heads, bodies = zip(*batch.rows, strict=True)
    row = await hop.fetchrow(
        service,
        b",".join(ids).decode(),
        b",".join(cases).decode(),
        b",".join(steps).decode(),
        b"\n".join(heads).decode(),
        b"\n".join(bodies).decode(),
    )
    assert row is not None
    return row[0], row[1]


async def forget(connection: Connection, batches: Sequence[int]) -> None:
    """Delete what the broker has acknowledged."""
    await connection.execute("delete from outbox where batch = any($1::bigint[])", batches)


async def admit(connection: Connection, cases: Sequence[bytes]) -> None:
    """Write cases that nothing has happened to yet."""
    texts = b",".join(cases).decode()
    await connection.execute(
        "insert into cases (case_id, state) select unnest(string_to_array($1, ',')::uuid[]), 0", texts
    )


async def empty(connection: Connection) -> None:
    """Forget every case, so that each run meets tables of the same size."""
    await connection.execute("truncate cases, inbox, audit, outbox")


async def check(connection: Connection, cases: int) -> None:
    """Raise `InvalidRunError` unless every case took every step, once and in order, and all was sent."""
    found = await connection.fetchrow(_CHECK, STEPS)
    assert found is not None
    wanted = {"rows": STEPS * cases, "hops": STEPS * cases, "ended": cases, "unsent": 0, "early": 0}
    if dict(found) != wanted:
        raise InvalidRunError(f"the tables say {dict(found)} and should say {wanted}")


async def _execute(dsn: str, statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statements)
    finally:
        await connection.close()
