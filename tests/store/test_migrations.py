"""A schema is brought up to date once, in order, by one runner at a time, and a surprise stops it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
from msgspec import Struct

from services.kernel.decider.service import Service
from services.kernel.postgres.connections import Session, connect
from services.kernel.postgres.migrations import (
    DAYS_AHEAD,
    KERNEL_SCHEMA,
    EditedMigration,
    UnknownMigration,
    make_partitions,
    migrate,
    missing_migrations,
)
from services.kernel.postgres.roles import lay_roles, logins_of
from tests.tally import TALLY, TENANT, case_id
from tests.waiting import until

KERNEL = sorted(file.name for file in KERNEL_SCHEMA.glob("*.sql"))
GROUND = [name for name in KERNEL if name < "0100"]
CHANGES = [name for name in KERNEL if name >= "0900"]
FIRST, SECOND = "0100_first.sql", "0101_second.sql"
AN_EVENT = """
insert into event_log (created_on, stream_id, seq, event_id, tenant, type, meta, data)
values (current_date + $1::int, $2, 1, $2, '0440', 'consent.given.v1', '[]', '{}')
"""
PARTITIONS = """
select count(*) from pg_inherits join pg_class on pg_class.oid = inhrelid
where inhparent = 'event_log'::regclass and relname ~ '^event_log_\\d{8}$'
"""
NEWEST = PARTITIONS.replace("count(*)", "max(relname)")
Role = tuple[str, str]


@pytest.fixture
def service(tmp_path: Path) -> Service:
    """Return a service with two files of its own; the second needs the first."""
    (tmp_path / FIRST).write_text("create table firsts (n int);\n", encoding="utf-8")
    (tmp_path / SECOND).write_text("alter table firsts add column m int;\n", encoding="utf-8")
    return replace(TALLY, schema=tmp_path)


@pytest.fixture
async def tx(postgres_dsn: str) -> AsyncIterator[Session]:
    """Lend a connection to the tally's schema, which is not there yet."""
    connection = await connect(postgres_dsn, schema="consent")
    yield connection
    await connection.close()


async def test_files_run_in_order(postgres_dsn: str, tx: Session, service: Service) -> None:
    """By their numbers: the kernel's ground, then the service's own, then what changes the ground."""
    missing = await missing_migrations(tx, service)
    done = await migrate(postgres_dsn, service)

    assert missing == done == [*GROUND, FIRST, SECOND, *CHANGES]
    assert await missing_migrations(tx, service) == []
    columns = await tx.fetch(
        "select column_name from information_schema.columns "
        "where table_schema = 'consent' and table_name = 'firsts' order by 1"
    )
    assert [row[0] for row in columns] == ["m", "n"]


async def test_a_second_run_does_nothing(postgres_dsn: str, tx: Session, service: Service) -> None:
    """Whoever runs it again changes nothing."""
    await migrate(postgres_dsn, service)
    before = await tx.fetch("select * from migrations order by name")

    assert await migrate(postgres_dsn, service) == []
    assert await tx.fetch("select * from migrations order by name") == before


async def test_a_new_file_runs_alone(postgres_dsn: str, service: Service) -> None:
    """What a later version adds is all that runs."""
    await migrate(postgres_dsn, service)
    (service.schema / "0102_third.sql").write_text("create table thirds (n int);", encoding="utf-8")

    assert await migrate(postgres_dsn, service) == ["0102_third.sql"]


async def test_an_edited_file_is_refused(postgres_dsn: str, tx: Session, service: Service) -> None:
    """What has run must stay as it was, to the letter; nothing else runs either."""
    await migrate(postgres_dsn, service)
    (service.schema / FIRST).write_text("create table firsts (n bigint);\n", encoding="utf-8")
    (service.schema / "0102_third.sql").write_text("create table thirds (n int);", encoding="utf-8")

    with pytest.raises(EditedMigration, match=r"consent/0100_first.sql"):
        await migrate(postgres_dsn, service)

    assert await tx.fetchval("select to_regclass('thirds')") is None


async def test_a_newer_database_is_refused(postgres_dsn: str, service: Service) -> None:
    """An older program does not touch what a newer one has made."""
    await migrate(postgres_dsn, service)
    (service.schema / SECOND).unlink()

    with pytest.raises(UnknownMigration, match=r"consent/0101_second.sql"):
        await migrate(postgres_dsn, service)


async def test_a_file_that_fails_leaves_nothing(postgres_dsn: str, tx: Session, service: Service) -> None:
    """Each file is one transaction: those before it stay, it can be repaired and run again."""
    broken = "create table half (n int); select 1 / 0;"
    (service.schema / "0102_third.sql").write_text(broken, encoding="utf-8")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(postgres_dsn, service)

    left = ["0102_third.sql", *CHANGES]
    assert await missing_migrations(tx, service) == left
    assert await tx.fetchval("select to_regclass('half')") is None
    (service.schema / "0102_third.sql").write_text("create table half (n int);", encoding="utf-8")
    assert await migrate(postgres_dsn, service) == left


async def test_two_runners_at_once_run_each_file_once(postgres_dsn: str, service: Service) -> None:
    """Several processes that start together wait for each other."""
    done = await asyncio.gather(*(migrate(postgres_dsn, service) for _ in range(3)))

    assert sorted(done, key=len) == [[], [], [*GROUND, FIRST, SECOND, *CHANGES]]


async def test_services_have_schemas_of_their_own(postgres_dsn: str, tx: Session, service: Service) -> None:
    """The same tables stand once for each service."""
    await asyncio.gather(
        migrate(postgres_dsn, service), migrate(postgres_dsn, replace(service, name="referral"))
    )

    rows = await tx.fetch("select schemaname from pg_tables where tablename = 'firsts' order by 1")
    assert [row[0] for row in rows] == ["consent", "referral"]


async def test_the_log_has_partitions_ahead(postgres_dsn: str, tx: Session, service: Service) -> None:
    """From yesterday for two weeks; an event of today lies in today's."""
    await migrate(postgres_dsn, service)

    assert await tx.fetchval(PARTITIONS) == DAYS_AHEAD + 2
    await tx.execute(AN_EVENT, 0, case_id(1))
    partition, today = await tx.fetchrow(
        "select tableoid::regclass::text, to_char(created_on, 'YYYYMMDD') from event_log"
    ) or (None, None)
    assert partition == f"event_log_{today}"


async def test_a_day_without_a_partition_is_not_lost(
    postgres_dsn: str, tx: Session, service: Service
) -> None:
    """Events of a day without a partition are kept, and do not stop those that follow."""
    await migrate(postgres_dsn, service)
    await tx.execute(AN_EVENT, DAYS_AHEAD + 3, case_id(1))

    await make_partitions(tx, days=DAYS_AHEAD + 5)
    await migrate(postgres_dsn, service)

    assert await tx.fetchval("select tableoid::regclass::text from event_log") == "event_log_rest"
    assert await tx.fetchval(PARTITIONS) == DAYS_AHEAD + 2 + 4


async def test_two_processes_keep_house_at_once(postgres_dsn: str, tx: Session, service: Service) -> None:
    """The second call finds the partitions made, and neither fails."""
    await migrate(postgres_dsn, service)
    others = [await connect(postgres_dsn, schema="consent") for _ in range(2)]
    try:
        first = others[0].transaction()
        await first.start()
        await make_partitions(others[0], days=DAYS_AHEAD + 3)
        second = asyncio.create_task(make_partitions(others[1], days=DAYS_AHEAD + 3))

        async def waits() -> bool:
            found: int = await tx.fetchval(
                "select count(*) from pg_stat_activity "
                "where wait_event_type = 'Lock' and datname = current_database()"
            )
            return found == 1

        await until(waits)
        await first.commit()
        await second
    finally:
        for other in others:
            await other.close()

    assert await tx.fetchval(PARTITIONS) == DAYS_AHEAD + 2 + 3


async def test_a_service_that_owns_nothing_has_partitions_made(postgres_dsn: str, service: Service) -> None:
    """The role that writes the log cannot change it; it calls the owner's function for the next days."""
    passwords = {role: f"pass-{role}" for role in logins_of("consent")}
    await lay_roles(postgres_dsn, passwords, ("consent",))
    await migrate(as_role(postgres_dsn, "samspil_consent_migrator"), service)
    await lay_roles(postgres_dsn, passwords, ("consent",))
    worker = await connect(as_role(postgres_dsn, "samspil_consent"), schema="consent")
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await worker.execute("create table consent.own (n int)")
        await make_partitions(worker, days=DAYS_AHEAD + 10)
        made = await worker.fetchval(PARTITIONS)
        newest = await worker.fetchval(NEWEST)
        rights = await worker.fetchrow(
            "select has_table_privilege($1, 'update') or has_table_privilege($1, 'delete')", newest
        )
        await worker.execute(AN_EVENT, DAYS_AHEAD + 9, case_id(1))
        kept = await worker.fetchval("select tenant from event_log")
    finally:
        await worker.close()

    assert made == DAYS_AHEAD + 12
    assert rights is not None
    assert rights[0] is False
    assert kept == TENANT


def as_role(dsn: str, role: str) -> str:
    """Return the connection string of another role of the test."""
    scheme, rest = dsn.split("://")
    return f"{scheme}://{role}:pass-{role}@{rest.partition('@')[2]}"


class Leaf(Struct, frozen=True, tag="leaf", tag_field="kind"):
    """What a stream held before its kind stood beside it."""

    text: str = ""


A_STREAM = """
insert into streams (stream_id, tenant, version, seq, marks, state) values ($1, '0440', 1, 0, '{}', $2)
"""
