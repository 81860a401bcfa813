"""Migrations of a service's schema: numbered SQL files, forward only, one runner at a time."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import asyncpg

from services.kernel.decider.service import Service
from services.kernel.errors import ProblemError
from services.kernel.postgres.connections import Tx, connect

KERNEL_SCHEMA: Final = Path(__file__).parent / "schema"
DAYS_AHEAD: Final = 14
_LOCK: Final = 0x5A4D5350_4D494752


class EditedMigration(ProblemError):
    """A migration was changed after it had run: put the file back and add a new one."""


class UnknownMigration(ProblemError):
    """The database is newer than this program: install the newer program."""


async def migrate(dsn: str, service: Service) -> list[str]:
    """Run the files that have not run yet, each in its own transaction, and return their names.

    The files of the kernel and of the service run in one order, by their numbers: the kernel's are below 100.
    At the end every table with rows of municipalities has row-level security.
    """
    files = _files(service)
    texts = {file.name: file.read_text(encoding="utf-8") for file in files}
    connection = await connect(dsn, schema=service.name)
    try:
        await connection.execute("select pg_advisory_lock($1)", _LOCK)
        await connection.execute(f'create schema if not exists "{service.name}"')
        await connection.execute(_REGISTER)
        done = {row["name"]: row["sha256"] for row in await connection.fetch("select * from migrations")}
        _refuse_edited_or_unknown(service.name, texts, done)
        new = [file for file in files if file.name not in done]
        for file in new:
            await _run(connection, file.name, texts[file.name])
        await make_partitions(connection)
        await connection.execute("select isolate_tenants()")
    finally:
        await connection.close()
    return [file.name for file in new]


def _files(service: Service) -> list[Path]:
    files = [*KERNEL_SCHEMA.glob("*.sql"), *service.schema.glob("*.sql")]
    return sorted(files, key=lambda file: file.name)


async def missing_migrations(tx: Tx, service: Service) -> list[str]:
    """Return the names of the files that have not run on this database."""
    try:
        done = {row["name"] for row in await tx.fetch("select name from migrations")}
    except asyncpg.UndefinedTableError:
        done = set()
    return [file.name for file in _files(service) if file.name not in done]


async def make_partitions(tx: Tx, *, days: int = DAYS_AHEAD) -> None:
    """Create the event log's partitions from yesterday until a number of days ahead."""
    await tx.execute("select make_event_log_partitions($1)", days)


async def _run(connection: Tx, name: str, text: str) -> None:
    async with connection.transaction():
        await connection.execute(text)
        await connection.execute("insert into migrations (name, sha256) values ($1, $2)", name, _sha256(text))


def _refuse_edited_or_unknown(schema: str, texts: Mapping[str, str], done: Mapping[str, str]) -> None:
    digests = {name: _sha256(text) for name, text in texts.items()}
    for name, sha256 in done.items():
        if name not in digests:
            raise UnknownMigration(f"{schema}/{name} has run here, and this program does not have it")
        if digests[name] != sha256:
            raise EditedMigration(f"{schema}/{name}")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


_REGISTER = """
create table if not exists migrations (
  name text not null,
  sha256 text not null,
  ran_at timestamptz not null default now(),
  constraint migrations_pk primary key (name)
)
"""
