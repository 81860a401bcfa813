"""Logins of the embedded database: the roles of an installation, with passwords kept beside the data."""

import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretStr

from services.kernel.atomic_files import write_whole
from services.kernel.decider.service import Service
from services.kernel.postgres.migrations import migrate
from services.kernel.postgres.roles import lay_roles, logins_of
from services.kernel.settings import Settings

_PASSWORDS: Final = "passwords.json"  # the name of a file
_PASSWORD_BYTES: Final = 24


async def install(
    dsn: str, services: Sequence[Service], passwords: Mapping[str, str]
) -> dict[str, list[str]]:
    """Lay the roles, migrate each service as its own migrator, and give rights to what is new.

    `dsn` logs in as the superuser. Returns the names of the files that ran, by service.
    """
    names = [service.name for service in services]
    await lay_roles(dsn, passwords, names)
    ran = {}
    for service in services:
        migrator = logins_of(service.name).migrator
        ran[service.name] = await migrate(login(dsn, migrator, passwords[migrator]), service)
    if any(ran.values()):
        await lay_roles(dsn, passwords, names)
    return ran


def passwords_of(folder: Path, services: Sequence[str]) -> Mapping[str, str]:
    """Return a password for each role that logs in; make those that are missing."""
    file = folder / _PASSWORDS  # for the folder's owner only, as all that `write_whole` writes
    kept = read_passwords(folder) if file.exists() else {}
    roles = [role for service in services for role in logins_of(service)]
    made = {role: secrets.token_urlsafe(_PASSWORD_BYTES) for role in roles if role not in kept}
    if made:
        write_whole(file, json.dumps(kept | made))
    return kept | made


def read_passwords(folder: Path) -> dict[str, str]:
    """Return the password of each role that logs in."""
    passwords: dict[str, str] = json.loads((folder / _PASSWORDS).read_text(encoding="utf-8"))
    return passwords


def superuser_password(folder: Path) -> str:
    """Return the password of the superuser, whom the embedded server made with its data."""
    return (folder / "password").read_text(encoding="utf-8").strip()


def settings_of_service(settings: Settings, service: str, passwords: Mapping[str, str]) -> Settings:
    """Return the settings with the two logins of one service; `settings` names the database."""
    dsn, logins = settings.database.get_secret_value(), logins_of(service)
    works, api = (SecretStr(login(dsn, role, passwords[role])) for role in (logins.works, logins.api))
    return settings.model_copy(update={"database": works, "database_api": api})


def login(dsn: str, role: str, password: str) -> str:
    """Return a connection string with another login."""
    parts = urlsplit(dsn)
    netloc = f"{role}:{password}@{parts.netloc.rpartition('@')[2]}"
    return urlunsplit(parts._replace(netloc=netloc))


def without_login(dsn: str) -> str:
    """Return a connection string without its login."""
    parts = urlsplit(dsn)
    netloc = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{netloc}{parts.path}?{parts.query}"
