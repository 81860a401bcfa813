"""Logins of the roles that a test's database has, as an installation lays them."""

from collections.abc import Iterable

from services.kernel.embedded.database_logins import login
from services.kernel.postgres.connections import connect
from services.kernel.postgres.roles import lay_roles, logins_of
from services.kernel.runtime.runtime import Runtime

_SUPERUSERS: dict[str, str] = {}
"""The superuser's login of a database, by that of a service."""


async def lay(dsn: str, services: Iterable[str]) -> None:
    """Lay the roles of services; the password of each is its name."""
    names = list(services)
    await lay_roles(dsn, {role: role for name in names for role in logins_of(name)}, names)


def works(dsn: str, service: str) -> str:
    """Return the login of a service's consumer, timers and operations."""
    made = as_role(dsn, logins_of(service).works)
    _SUPERUSERS[made] = dsn
    return made


async def alter(runtime: Runtime, *statements: str) -> None:
    """Change the schema of a running service as the superuser, which its own roles cannot."""
    session = await connect(
        _SUPERUSERS[runtime.settings.database.get_secret_value()], schema=runtime.service.name
    )
    try:
        for statement in statements:
            await session.execute(statement)
    finally:
        await session.close()


def api(dsn: str, service: str) -> str:
    """Return the login of a service's requests."""
    return as_role(dsn, logins_of(service).api)


def as_role(dsn: str, role: str) -> str:
    """Return the login of any role of a test."""
    return login(dsn, role, role)
