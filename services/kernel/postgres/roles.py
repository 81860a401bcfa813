"""Roles of the services in PostgreSQL: each with its rights, and a password for those that log in."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import asyncpg

_ROLES: Final = Path(__file__).with_name("roles.sql").read_text(encoding="utf-8")
_ITERATIONS: Final = 4096  # as PostgreSQL itself takes, RFC 7677
_SALT_BYTES: Final = 16
_LOCK: Final = 0x5A4D5350_524F4C45


class Logins(NamedTuple):
    """Names of the roles of one service that log in."""

    works: str
    """For the consumer, the relay, timers, effects and operations: it sees every municipality."""
    api: str
    """For requests: it sees the municipality that a transaction names."""
    migrator: str
    """For migrations: it acts as the owner."""


def logins_of(service: str) -> Logins:
    """Return the roles of a service that log in."""
    return Logins(f"samspil_{service}", f"samspil_{service}_api", f"samspil_{service}_migrator")


async def lay_roles(dsn: str, passwords: Mapping[str, str], services: Iterable[str]) -> None:
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
    await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
    await connection.execute("select set_config('samspil.service', $1, true)", service)
    await connection.execute(_ROLES)
    for role in logins_of(service):
        await connection.execute(f"alter role {role} password '{_verifier(passwords[role])}'")


def _verifier(password: str) -> str:
    """Return what PostgreSQL stores of a SCRAM-SHA-256 password (RFC 5803), so that no log can show it."""
    salt = secrets.token_bytes(_SALT_BYTES)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, _ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt64, stored64, server64 = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256${_ITERATIONS}:{salt64}${stored64}:{server64}"
