"""Lay the PostgreSQL roles of every service: `python -m deploy.roles`, before and after each migration."""

import asyncio
import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import asyncpg
import typer

from contracts.event import SERVICES

_ROLES = Path(__file__).with_name("roles.sql").read_text(encoding="utf-8")
_ITERATIONS = 4096  # as PostgreSQL itself takes, RFC 7677
_SALT_BYTES = 16

APPEND_ONLY: Final[Mapping[str, tuple[str, ...]]] = {"audit": ("entries",)}
"""Tables of a service that only grow, besides `event_log`, which only grows in every service."""


async def lay_roles(dsn: str, passwords: Mapping[str, str], *, services: Iterable[str] = SERVICES) -> None:
    """Make roles and rights of the services what they should be, whatever they were.

    `dsn` logs in as a superuser; `passwords` holds one for each role that logs in. Run it before the
    migrations, which need their roles, and after them, so that new tables get their rights.
    """
    connection = await asyncpg.connect(dsn)
    try:
        for service in services:
            async with connection.transaction():
                await _lay(connection, service, passwords)
    finally:
        await connection.close()


async def _lay(connection: "asyncpg.Connection[Any]", service: str, passwords: Mapping[str, str]) -> None:
    append_only = ",".join(("event_log", *APPEND_ONLY.get(service, ())))
    await connection.execute("select set_config('samspil.service', $1, true)", service)
    await connection.execute("select set_config('samspil.append_only', $1, true)", append_only)
    await connection.execute(_ROLES)
    for role in logins_of(service):
        await connection.execute(f"alter role {role} password '{_verifier(passwords[role])}'")


def logins_of(service: str) -> tuple[str, str]:
    """Return the two roles of a service that log in: to work, and to migrate."""
    return f"samspil_{service}", f"samspil_{service}_migrator"


def _verifier(password: str) -> str:
    """Return what PostgreSQL stores of a SCRAM-SHA-256 password (RFC 5803), so that no log can show it."""
    salt = secrets.token_bytes(_SALT_BYTES)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, _ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt64, stored64, server64 = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256${_ITERATIONS}:{salt64}${stored64}:{server64}"


def main(
    database: Annotated[Path, typer.Option(help="File with the connection string of a superuser.")],
    passwords: Annotated[Path, typer.Option(help="Folder with a file `password_<role>` for each login.")],
) -> None:
    """Give each service its roles, its schema and its rights."""
    logins = [role for service in SERVICES for role in logins_of(service)]
    read = {role: (passwords / f"password_{role}").read_text().strip() for role in logins}
    asyncio.run(lay_roles(database.read_text().strip(), read))
    typer.echo(f"{len(SERVICES)} services have their roles.")


if __name__ == "__main__":
    typer.run(main)
