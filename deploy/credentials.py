"""Make every secret of one installation: `python -m deploy.credentials`; what is there already stays."""

import datetime as dt
import secrets
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from contracts.event import SERVICES
from deploy.certificates import issue, new_authority, read_issued
from services.kernel.postgres.roles import logins_of

DATABASE = "samspil"
KAFKA_NODE = "samspil-kafka"
OPERATOR = "samspil-operator"
_HERE = ("localhost", "127.0.0.1")
_PASSWORD_BYTES = 24
_NOT_MOUNTED = frozenset({"authority_with_key"})


def make_credentials(folder: Path, now: dt.datetime, *, renew: bool = False) -> list[str]:
    """Make the files that are missing, with `renew` also new certificates; return the names of those made.

    The folder is closed to other users. The files in it are not, since each is mounted into a container
    that runs as a user of its own and sees nothing else of the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    made: list[str] = []

    def once(name: str, content: Callable[[], bytes | str], *, again: bool = False) -> bytes:
        path = folder / name
        if again or not path.exists():
            value = content()
            _write(path, value if isinstance(value, bytes) else value.encode())
            made.append(name)
        return path.read_bytes()

    fresh = new_authority(now)
    both = once("authority_with_key", fresh.pem)
    authority = read_issued(both, both)
    once("authority", authority.certificate_pem)
    once("kafka_node", issue(authority, KAFKA_NODE, ("kafka", *_HERE), now).pem, again=renew)
    once("kafka_operator", issue(authority, OPERATOR, (), now).pem, again=renew)
    once("postgres_server", issue(authority, "samspil-postgres", ("postgres", *_HERE), now).pem, again=renew)
    superuser = once("postgres_superuser", _password).decode()
    once("database_superuser", partial(_dsn, "postgres", superuser))
    for service in SERVICES:
        once(f"kafka_{service}", _password)
        for role in logins_of(service):
            password = once(f"password_{role}", _password).decode()
            once(f"database_{role}", partial(_dsn, role, password))
    once("grafana_admin", _password)
    return made


def _password() -> str:
    return secrets.token_urlsafe(_PASSWORD_BYTES)


def _dsn(role: str, password: str) -> str:
    trust = "sslmode=verify-full&sslrootcert=/run/secrets/authority"
    return f"postgresql://{role}:{password}@postgres:5432/{DATABASE}?{trust}"


def _write(path: Path, content: bytes) -> None:
    """Write beside and rename, so that an interrupted run leaves no half of a secret."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(content)
    beside.chmod(0o600 if path.name in _NOT_MOUNTED else 0o644)
    beside.replace(path)


def main(
    folder: Annotated[Path, typer.Argument(help="Where the secrets go; keep it out of git.")] = Path(
        ".samspil/secrets"
    ),
    *,
    renew: Annotated[bool, typer.Option(help="Issue the servers' certificates anew.")] = False,
) -> None:
    """Make every secret that is missing."""
    made = make_credentials(folder, dt.datetime.now(dt.UTC), renew=renew)
    typer.echo(f"Made in {folder}: {', '.join(made)}." if made else f"All secrets are in {folder}.")


if __name__ == "__main__":
    typer.run(main)
