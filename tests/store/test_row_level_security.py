"""A request sees the rows of one municipality: by the database, whatever a query says."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
import pytest

from services.kernel.embedded.servers import Postgres
from services.kernel.ids import new_id
from services.kernel.postgres.connections import Pool, connect, open_pool, tenant_transaction
from services.kernel.postgres.migrations import DAYS_AHEAD, make_partitions, migrate
from services.kernel.postgres.roles import logins_of
from services.kernel.runtime.runtime import Runtime
from services.kernel.settings import SettingsFault
from services.registry import SERVICES_BY_NAME
from tests.http_site import a_token, open_site
from tests.logins import api, as_role, lay, works
from tests.servers import drop_database, fresh_database, running
from tests.tally import TALLY, kms_for, settings_for

TENANT, OTHER = "0440", "0461"
BOTH: Final = (TENANT, OTHER)
INSERT_STREAM = "insert into streams (tenant, stream_id, version, seq, marks) values ($1, $2, 1, 0, '{}')"
READ_STREAMS = "select tenant from streams"
WATERMARKS = "select * from watermarks_of('consent', 'samspil.consent.v1') order by 1"
PARTITION = "select max(relname) from pg_class where relname ~ '^event_log_[0-9]{8}$'"


@asynccontextmanager
async def filled(server: Postgres) -> AsyncIterator[str]:
    """Migrate every service as its own migrator, and fill every table with a row of two municipalities."""
    dsn = await fresh_database(server)
    await lay(dsn, SERVICES_BY_NAME)
    for name, service in SERVICES_BY_NAME.items():
        await migrate(as_role(dsn, logins_of(name).migrator), service)
    superuser = await asyncpg.connect(dsn)
    try:
        for name in SERVICES_BY_NAME:
            await _fill(superuser, name)
    finally:
        await superuser.close()
    yield dsn
    await drop_database(server, dsn)


@asynccontextmanager
async def copied(server: Postgres, template: str) -> AsyncIterator[str]:
    """Lend a copy of that database."""
    dsn = await fresh_database(server, template=template)
    await lay(dsn, SERVICES_BY_NAME)
    yield dsn
    await drop_database(server, dsn)


@pytest.fixture(scope="module")
def template(postgres_server: Postgres) -> Iterator[str]:
    """Name the database to be copied; nobody may be connected to it then."""
    with running(filled(postgres_server)) as dsn:
        yield dsn


@pytest.fixture(scope="module")
def installed(postgres_server: Postgres, template: str) -> Iterator[str]:
    """Lend the database of all tests that leave its rows as they are."""
    with running(copied(postgres_server, template)) as dsn:
        yield dsn


@pytest.fixture
async def changeable(postgres_server: Postgres, template: str) -> AsyncIterator[str]:
    """Lend a database of the test's own."""
    async with copied(postgres_server, template) as dsn:
        yield dsn


async def _fill(superuser: "asyncpg.Connection[Any]", schema: str) -> None:
    """Give each table a row of each municipality, whatever its columns, with its checks out of the way."""
    await superuser.execute("select set_config('search_path', $1, false)", schema)
    for row in await superuser.fetch(_CHECKS, schema):
        await superuser.execute(f"alter table {row['table']} drop constraint {row['name']}")
    for row in await superuser.fetch(_COLUMNS, schema):
        for tenant in BOTH:
            await superuser.execute(
                f"insert into {row['table']} ({row['names']}) values ({row['values']})",  # noqa: S608  of the catalogue
                tenant,
            )


@pytest.fixture
async def pool(installed: str) -> AsyncIterator[Pool]:
    """Lend a pool of one connection, as the requests of the referral service have it."""
    async with a_pool(api(installed, "referral")) as opened:
        yield opened


@asynccontextmanager
async def a_pool(dsn: str, schema: str = "referral") -> AsyncIterator[Pool]:
    """Lend a pool of one connection, which every transaction has to reuse."""
    opened = await open_pool(dsn, schema=schema, size=1, on_connect=lambda: None)
    yield opened
    opened.terminate()


async def test_every_table_shows_one_municipality(installed: str) -> None:
    """In every service a request reads rows of its own municipality from each table that it may read."""
    read = 0
    for name in SERVICES_BY_NAME:
        async with a_pool(api(installed, name), name) as pool:
            for table, columns in await _readable(pool, name):
                for tenant in BOTH:
                    async with tenant_transaction(pool, tenant) as tx:
                        rows = await tx.fetch(f"select {columns} from {table}")  # noqa: S608  of the catalogue
                        whose = {row["tenant"] for row in await _tenants(tx, table)}
                    assert len(rows) == 1, (name, table)
                    assert whose <= {tenant}, (name, table)
                read += 1

    assert read > 8 * len(SERVICES_BY_NAME)


async def _readable(pool: Pool, schema: str) -> list[tuple[str, str]]:
    rows = await pool.fetch(_READABLE, schema)
    return [(row["table"], row["columns"]) for row in rows]


async def _tenants(tx: Any, table: str) -> list[Any]:
    if not await tx.fetchval("select has_column_privilege($1, 'tenant', 'select')", table):
        return []
    found: list[Any] = await tx.fetch(f"select tenant from {table}")  # noqa: S608  of the catalogue
    return found


async def test_without_a_municipality_there_are_no_rows(installed: str) -> None:
    """A transaction that forgets to name one reads nothing and writes nothing, in every table."""
    for name in SERVICES_BY_NAME:
        async with a_pool(api(installed, name), name) as pool:
            for table, columns in await _readable(pool, name):
                assert await pool.fetch(f"select {columns} from {table}") == [], (name, table)  # noqa: S608
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await pool.execute(INSERT_STREAM, TENANT, new_id())
            async with tenant_transaction(pool, TENANT) as tx:
                await tx.fetchval("select 1")
            assert await pool.fetch(READ_STREAMS) == []  # the setting is empty now, not missing


async def test_what_a_request_needs_not_it_cannot_read(installed: str) -> None:
    """Parked events, watermarks and timelines are out of its reach, and what it does reach is listed here."""
    closed = {"parked_events", "consent_watermarks", "timelines", "migrations"}
    async with a_pool(api(installed, "referral")) as pool:
        for table in closed:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await pool.fetch(f"select * from {table}")  # noqa: S608  a name from the list above
        may_change = await pool.fetch(_CHANGEABLE, "referral")

    assert {row["table"]: set(row["rights"]) for row in may_change} == {
        "cases": {"insert", "update", "delete"},
        "referrals": {"insert", "update", "delete"},
        "streams": {"insert", "update"},
        "timers": {"insert", "update", "delete"},
        "sealed": {"insert", "update"},
        "revocations": {"insert", "update"},
        "event_log": {"insert"},
        "pending": {"insert"},
        "idempotency_keys": {"insert"},
        "effects": {"insert"},
        "data_keys": {"insert"},
        "internal_keys": {"insert"},
        "access_streams": {"insert"},
    }


@pytest.mark.parametrize(
    "statement",
    [
        "insert into streams (tenant, stream_id, version, seq, marks) values ('0461', $1, 1, 0, '{}')",
        "update streams set tenant = '0461', stream_id = $1",
        "insert into event_log values (1, now(), $1, 9, $1, '0461', 'x', '{}', '{}')",
        "insert into internal_keys (tenant, purpose, wrapped) values ('0461', $1::uuid::text, '')",
        "insert into data_keys (tenant, subject_id, wrapped) values ('0461', $1, '')",
    ],
)
async def test_another_municipality_is_not_written(pool: Pool, statement: str) -> None:
    """Finding 3: a row of another municipality is refused by the database, inserted or moved."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        async with tenant_transaction(pool, TENANT) as tx:
            await tx.execute(statement, new_id())


async def test_another_municipality_is_not_changed(changeable: str) -> None:
    """A statement without a condition changes and deletes rows of its own municipality only."""
    async with a_pool(api(changeable, "referral")) as pool:
        async with tenant_transaction(pool, TENANT) as tx:
            changed = await tx.execute("update streams set version = version + 1")
            deleted = await tx.execute("delete from timers")
        async with tenant_transaction(pool, OTHER) as tx:
            left = await tx.fetchrow(
                "select (select max(version) from streams) as version, count(*) as timers from timers"
            )

    assert (changed, deleted) == ("UPDATE 1", "DELETE 1")
    assert left is not None
    assert (left["version"], left["timers"]) == (0, 1)


async def test_a_prepared_statement_is_read_for_whoever_uses_it(pool: Pool) -> None:
    """One statement, prepared once on one connection, returns to each municipality its own rows."""
    seen, pids = [], set()
    for tenant in (TENANT, OTHER, TENANT, OTHER, TENANT, OTHER, TENANT):
        async with tenant_transaction(pool, tenant) as tx:
            seen.append([row["tenant"] for row in await tx.fetch(READ_STREAMS)])
            pids.add(await tx.fetchval("select pg_backend_pid()"))
            prepared = await tx.fetchval(
                "select count(*) from pg_prepared_statements where statement = $1", READ_STREAMS
            )

    assert seen == [[TENANT], [OTHER], [TENANT], [OTHER], [TENANT], [OTHER], [TENANT]]
    assert len(pids) == 1
    assert prepared == 1


@pytest.mark.parametrize("how", ["error", "statement", "cancelled", "cancelled in a statement"])
async def test_whatever_ends_a_transaction_ends_its_municipality(pool: Pool, how: str) -> None:
    """After an error of ours, a failed statement or a request that went away, the next one sees its own."""
    await _interrupted(pool, how)

    assert await pool.fetch(READ_STREAMS) == []
    async with tenant_transaction(pool, OTHER) as tx:
        assert [row["tenant"] for row in await tx.fetch(READ_STREAMS)] == [OTHER]


async def _interrupted(pool: Pool, how: str) -> None:
    began = asyncio.Event()

    async def work() -> None:
        async with tenant_transaction(pool, TENANT) as tx:
            await tx.fetch(READ_STREAMS)
            began.set()
            if how == "error":
                raise ZeroDivisionError
            if how == "statement":
                await tx.execute("select 1 / 0")
            await (tx.execute("select pg_sleep(60)") if "statement" in how else asyncio.Event().wait())

    task = asyncio.create_task(work())
    await began.wait()
    if how.startswith("cancelled"):
        task.cancel()
    with pytest.raises((ZeroDivisionError, asyncpg.DivisionByZeroError, asyncio.CancelledError)):
        await task


@pytest.mark.parametrize("suffix", ["", "_owner", "_migrator", "_reader"])
async def test_a_request_becomes_nobody_else(pool: Pool, suffix: str) -> None:
    """The role of requests is a member of no other, so that no statement reaches the consumer's rights."""
    for statement in (
        f"set role samspil_referral{suffix}",
        f"set session authorization samspil_referral{suffix}",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.execute(statement)


async def test_a_membership_that_was_granted_manually_is_revoked(installed: str) -> None:
    """Laying the roles again takes back what somebody has given to the role of requests."""
    superuser = await asyncpg.connect(installed)
    await superuser.execute("grant samspil_referral to samspil_referral_api")
    await superuser.execute("alter role samspil_referral_api bypassrls")
    await lay(installed, ["referral"])
    await superuser.close()

    async with a_pool(api(installed, "referral")) as pool:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.execute("set role samspil_referral")
        assert await pool.fetch(READ_STREAMS) == []


async def test_a_partition_is_not_read_past_its_table(pool: Pool, installed: str) -> None:
    """A request has no right on a partition, also on one that was made after the roles were laid."""
    async with a_pool(works(installed, "referral")) as consumer:
        async with consumer.acquire() as tx:
            await make_partitions(tx, days=DAYS_AHEAD + 3)
        newest = await consumer.fetchval(PARTITION)
        forced = await consumer.fetchval(
            "select relrowsecurity and relforcerowsecurity from pg_class where oid = $1::text::regclass",
            newest,
        )

    for table in ("event_log_rest", newest):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with tenant_transaction(pool, TENANT) as tx:
                await tx.fetch(f"select id from {table}")  # noqa: S608  a name of ours
    assert forced


@pytest.mark.parametrize("name", SERVICES_BY_NAME)
async def test_the_consumer_sees_every_municipality(installed: str, name: str) -> None:
    """The service's own role, and the owner as whom its functions run, see the rows of all."""
    sessions = [
        await connect(works(installed, name), schema=name),
        await connect(as_role(installed, logins_of(name).migrator), schema=name),
    ]
    for session in sessions:
        assert {row["tenant"] for row in await session.fetch(READ_STREAMS)} == set(BOTH)
        assert await session.fetchval("select count(distinct tenant) from pending") == len(BOTH)
        await session.close()


async def test_the_gate_closes_for_a_record_that_no_request_may_see(changeable: str) -> None:
    """An unreadable record closes the consents of its sender, or of all where nobody knows the sender."""
    superuser = await connect(changeable, schema="referral")
    await superuser.execute("delete from consent_watermarks; delete from parked_events")
    await superuser.execute(
        "insert into consent_watermarks values ('consent', 1, now()), ('consent', 2, now())"
    )
    for partition, tenant in enumerate(("", OTHER), 1):
        await superuser.execute(
            "insert into parked_events (tenant, topic, kafka_partition, kafka_offset, headers, reason) "
            "values ($1, 'samspil.consent.v1', $2, 1, '[]', 'unreadable')",
            tenant, partition,
        )  # fmt: skip
    await superuser.close()

    seen = {}
    async with a_pool(api(changeable, "referral")) as pool:
        for tenant in BOTH:
            async with tenant_transaction(pool, tenant) as tx:
                rows = await tx.fetch(WATERMARKS)
                seen[tenant] = [row["unreadable_of"] for row in rows]

    assert seen == {TENANT: [[""], []], OTHER: [[""], [OTHER]]}


@pytest.mark.parametrize("role", ["samspil_consent", "postgres"])
async def test_a_service_does_not_start_where_requests_see_all(postgres_dsn: str, role: str) -> None:
    """SAMSPIL_DATABASE_API that names the consumer's login, or any other that sees all, is refused."""
    await migrate(postgres_dsn, TALLY)
    await lay(postgres_dsn, ["consent"])
    dsn = postgres_dsn if role == "postgres" else as_role(postgres_dsn, role)
    settings = settings_for(works(postgres_dsn, "consent"), "", "none", mode="embedded", database_api=dsn)
    runtime = Runtime(TALLY, settings, clock=None, models={}, key_store=kms_for(postgres_dsn))  # type: ignore[arg-type]  # nothing runs

    with pytest.raises(SettingsFault, match="log in as samspil_consent_api"):
        await runtime.start(run_loops=False)


async def test_a_query_without_a_condition_shows_one_municipality(postgres_dsn: str) -> None:
    """A mistake in a service's query, which forgets the municipality, shows nobody else's cases."""
    async with open_site(postgres_dsn) as site:
        for tenant in BOTH:
            await site.request("POST", "/consent/tallies", token=a_token(tenant=tenant), **_a_count())
        seen = [await _all_streams(site.runtime, tenant) for tenant in BOTH]

    assert seen == [{TENANT}, {OTHER}]


def _a_count() -> dict[str, Any]:
    return {"json": {"referral_id": str(new_id())}, "headers": {"Idempotency-Key": str(new_id())}}


async def _all_streams(runtime: Runtime, tenant: str) -> set[str]:
    async with tenant_transaction(runtime.api_pool, tenant) as tx:
        return {row["tenant"] for row in await tx.fetch(READ_STREAMS)}


_CHECKS = """
select conrelid::regclass::text as table, quote_ident(conname) as name from pg_constraint
where connamespace = $1::text::regnamespace and contype = 'c'
  and not exists (select from pg_inherits where inhrelid = conrelid)
"""

_COLUMNS = """
select c.oid::regclass::text as table, string_agg(quote_ident(a.attname), ', ') as names,
       string_agg(case when a.attname = 'tenant' then '$1' when a.attname = 'created_on' then 'current_date'
                       when t.typname in ('text', 'varchar') then quote_literal('x')
                       when t.typname = 'uuid' then 'gen_random_uuid()' when t.typname = 'bool' then 'false'
                       when t.typname in ('json', 'jsonb') then quote_literal('{}')
                       when t.typname in ('date', 'timestamptz') then 'now()'
                       when t.typcategory = 'A' then quote_literal('{}')
                       when t.typname = 'bytea' then quote_literal('')
                       else '0' end, ', ') as values
from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_type t on t.oid = a.atttypid
where c.relnamespace = $1::text::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
  and a.attidentity = '' and (a.attnotnull or a.attname = 'tenant')
  and exists (select from pg_attribute x where x.attrelid = c.oid and x.attname = 'tenant')
group by c.oid
"""

_READABLE = """
select c.oid::regclass::text as table, string_agg(quote_ident(a.attname), ', ') as columns
from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where c.relnamespace = $1::text::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
  and has_column_privilege(c.oid, a.attnum, 'select')
group by c.oid order by 1
"""

_CHANGEABLE = """
select c.relname as table, array_agg(r.name) as rights
from pg_class c cross join unnest(array['insert', 'update', 'delete', 'truncate']) as r (name)
where c.relnamespace = $1::text::regnamespace and c.relkind in ('r', 'p')
  and has_table_privilege(c.oid, r.name)
group by c.relname
"""
