"""Each service works in its own schema only, and cannot change what it once said."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from services.kernel.embedded.servers import Postgres
from services.kernel.postgres.roles import lay_roles, logins_of
from tests.servers import drop_database, fresh_database, running

if TYPE_CHECKING:
    Connection = asyncpg.Connection[Any]
else:
    Connection = asyncpg.Connection

KERNEL_SCHEMA = Path(__file__).parents[2] / "services" / "kernel" / "postgres" / "schema"
SERVICES = ("referral", "consent")
PASSWORDS = {role: f"pass-{role}" for service in SERVICES for role in logins_of(service)}
AN_EVENT = """
insert into event_log (stream_id, seq, event_id, tenant, type, meta, data)
values (gen_random_uuid(), 1, gen_random_uuid(), '0440', 'referral.sent.v1', '{}', '{}')
"""


@asynccontextmanager
async def migrated(server: Postgres) -> AsyncIterator[str]:
    """Lay the roles of two services, and migrate as their migrators."""
    dsn = await fresh_database(server)
    await lay_roles(dsn, PASSWORDS, SERVICES)
    for service in SERVICES:
        async with as_role(dsn, f"samspil_{service}_migrator", schema=service) as tx:
            for file in sorted(KERNEL_SCHEMA.glob("*.sql")):
                await tx.execute(file.read_text(encoding="utf-8"))
            await tx.execute("create table migrations (name text primary key)")
    yield dsn
    await drop_database(server, dsn)


@pytest.fixture(scope="module")
def migrated_dsn(postgres_server: Postgres) -> Iterator[str]:
    """Lend the database that those of the tests are copied from."""
    with running(migrated(postgres_server)) as dsn:
        yield dsn


@pytest.fixture
async def installed(postgres_server: Postgres, migrated_dsn: str) -> AsyncIterator[str]:
    """Lend a database of two services whose roles were laid again after the migrations."""
    dsn = await fresh_database(postgres_server, template=migrated_dsn)
    await lay_roles(dsn, PASSWORDS, SERVICES)
    yield dsn
    await drop_database(postgres_server, dsn)


@pytest.fixture
async def referral(installed: str) -> AsyncIterator[Connection]:
    """Log in as the service that keeps the referrals."""
    async with as_role(installed, "samspil_referral", schema="referral") as tx:
        yield tx


async def test_a_service_adds_to_its_log_and_reads_it(referral: Connection) -> None:
    """What happened is written down and can be read again."""
    await referral.execute(AN_EVENT)

    assert await referral.fetchval("select count(*) from event_log") == 1


@pytest.mark.parametrize(
    "statement",
    [
        "update event_log set tenant = '0000'",
        "delete from event_log",
        "truncate event_log",
        "update event_log_rest set tenant = '0000'",
        "delete from event_log_rest",
        "alter table event_log add column remark text",
        "drop table event_log",
        "update migrations set name = 'other'",
        "insert into migrations values ('9999_made_up.sql')",
        "create table own_remarks (n int)",
        "create temporary table remarks (n int)",
        "create schema elsewhere",
        "truncate streams",
        "set role samspil_referral_owner",
    ],
)
async def test_a_service_cannot_rewrite_its_past(referral: Connection, statement: str) -> None:
    """Nobody who works with the log can change it, nor the schema, nor take more rights."""
    await referral.execute(AN_EVENT)

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await referral.execute(statement)


@pytest.mark.parametrize(
    "table",
    [
        "streams",
        "pending",
        "idempotency_keys",
        "parked_events",
        "timers",
        "effects",
        "sealed",
        "data_keys",
        "consent_watermarks",
    ],
)
async def test_a_service_works_in_its_other_tables(referral: Connection, table: str) -> None:
    """The rows of its other tables a service reads, locks, changes and removes."""
    await referral.execute(f"delete from {table}")  # noqa: S608 - a name from the list above
    async with referral.transaction():
        assert await referral.fetch(f"select * from {table} for update") == []  # noqa: S608 - the same
    assert await may(referral, table, "insert")


@pytest.mark.parametrize("table", ["streams", "event_log", "sealed"])
async def test_a_service_sees_no_other_schema(referral: Connection, table: str) -> None:
    """What another service keeps is closed."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await referral.fetch(f"select * from consent.{table}")  # noqa: S608 - a name from the list above


async def test_a_new_partition_is_closed_at_once(installed: str) -> None:
    """A partition that a later migration makes can be added to and not changed, without any further step."""
    async with as_role(installed, "samspil_referral_migrator", schema="referral") as tx:
        await tx.execute(
            "create table event_log_later partition of event_log"
            " for values from ('2031-01-01') to ('2031-01-02')"
        )
    async with as_role(installed, "samspil_referral", schema="referral") as tx:
        assert not await may(tx, "event_log_later", "update")
        assert not await may(tx, "event_log_later", "delete")
        assert not await may(tx, "event_log_later", "truncate")


async def test_a_reader_sees_nothing_sealed(installed: str) -> None:
    """A reader of numbers sees neither sealed values nor keys."""
    connection = await asyncpg.connect(installed)
    try:
        await connection.execute("set role samspil_referral_reader")
        await connection.fetch("select * from referral.streams")
        for table in ("sealed", "data_keys", "internal_keys", "access_streams"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch(f"select * from referral.{table}")  # noqa: S608 - the same
    finally:
        await connection.close()


async def test_a_migrator_changes_its_own_schema_only(installed: str) -> None:
    """The role that migrates one service cannot touch another's tables."""
    async with as_role(installed, "samspil_referral_migrator", schema="referral") as tx:
        await tx.execute("alter table streams add column remark text")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await tx.execute("alter table consent.streams add column remark text")


async def test_a_wrong_password_is_refused(installed: str) -> None:
    """The stored password is the one that was given, and no other."""
    with pytest.raises(asyncpg.InvalidPasswordError):
        async with as_role(installed, "samspil_referral", schema="referral", password="guess"):
            pass


async def test_a_changed_password_replaces_the_old(installed: str) -> None:
    """Running the script with another password changes it."""
    await lay_roles(installed, PASSWORDS | {"samspil_referral": "new"}, SERVICES)

    async with as_role(installed, "samspil_referral", schema="referral", password="new") as tx:
        assert await tx.fetchval("select current_user") == "samspil_referral"


async def test_a_service_learns_how_long_others_hold_a_transaction_and_nothing_else(installed: str) -> None:
    """The age of the oldest transaction is visible to the service; whose it is and what it does is not."""
    async with (
        as_role(installed, "samspil_consent", schema="consent") as other,
        as_role(installed, "samspil_referral", schema="referral") as tx,
        other.transaction(),
    ):
        await other.execute("select 'of the other'")
        ages = [await tx.fetchval("select oldest_transaction_seconds()") for _ in range(2)]
        shown = await tx.fetchval("select query from pg_stat_activity where pid = $1", other.get_server_pid())

    assert 0 < ages[0] < ages[1]
    assert shown == "<insufficient privilege>"


async def test_a_right_that_was_granted_manually_is_revoked(installed: str) -> None:
    """Running the script makes the rights what they should be."""
    connection = await asyncpg.connect(installed)
    try:
        await connection.execute("grant update on referral.event_log to samspil_referral")
        await lay_roles(installed, PASSWORDS, SERVICES)
    finally:
        await connection.close()

    async with as_role(installed, "samspil_referral", schema="referral") as tx:
        assert not await may(tx, "event_log", "update")


async def may(tx: Connection, table: str, right: str) -> bool:
    """Say whether the role that is logged in has a right on a table."""
    return bool(await tx.fetchval("select has_table_privilege($1, $2)", table, right))


@asynccontextmanager
async def as_role(
    dsn: str, role: str, *, schema: str, password: str | None = None
) -> AsyncIterator[Connection]:
    """Log in to the test's database as another role."""
    parts = urlsplit(dsn)
    login = f"{role}:{password or PASSWORDS[role]}@{parts.netloc.rpartition('@')[2]}"
    connection = await asyncpg.connect(
        urlunsplit(parts._replace(netloc=login)), server_settings={"search_path": schema}
    )
    try:
        yield connection
    finally:
        await connection.close()
