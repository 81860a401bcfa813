"""Make every secret of one installation: `python -m deploy.credentials`; what is there already stays."""

import datetime as dt
import secrets
import sys
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer
from cryptography import x509

from contracts.event import SERVICES
from deploy.certificates import Issued, WrongPassphrase, hosts_of, issue, new_authority, read_issued
from services.kernel.postgres.roles import logins_of

DATABASE: Final = "samspil"
KAFKA_NODE: Final = "samspil-kafka"
KAFKA_NODE_FILE: Final = "kafka_node"
OPERATOR: Final = "samspil-operator"
AUTHORITY_KEY: Final = "authority_key"
"""Private key of the certificate authority, encrypted; no container mounts it."""
_HERE: Final = ("localhost", "127.0.0.1")
_CERTIFICATES: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    KAFKA_NODE_FILE: (KAFKA_NODE, ("kafka", *_HERE)),
    "kafka_operator": (OPERATOR, ()),
    "postgres_server": ("samspil-postgres", ("postgres", *_HERE)),
}
_PASSWORD_BYTES: Final = 24
_PASSPHRASE_BYTES: Final = 32
_SHORTEST_PASSPHRASE: Final = 20


class PassphraseTooShort(Exception):
    """A passphrase has 20 characters at least: let this command make it."""


class Folder:
    """Folder of secrets: makes each file once, and remembers which it has made.

    It is closed to other users. The files in it are not, since each is mounted into a container that runs as
    a user of its own and sees nothing else of the folder; the authority's key is mounted nowhere.
    """

    def __init__(self, path: Path) -> None:
        """Open the folder, or make it."""
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o700)
        self._path = path
        self.made: list[str] = []

    def once(self, name: str, content: Callable[[], bytes | str], *, again: bool = False) -> bytes:
        """Return the content of a file, which is made where it is missing, or `again`."""
        path = self._path / name
        if again or not path.exists():
            value = content()
            content_of_file = value if isinstance(value, bytes) else value.encode()
            write_secret(path, content_of_file, private=name == AUTHORITY_KEY)
            self.made.append(name)
        return path.read_bytes()


def make_credentials(
    folder: Path,
    now: dt.datetime,
    *,
    passphrase: bytes,
    renew: bool = False,
    new_ca: bool = False,
    kafka_hosts: Collection[str] = (),
) -> list[str]:
    """Make the files that are missing; return the names of those made.

    `kafka_hosts` are names or addresses by which Kafka is reached from outside. Those that its certificate
    has stay in it; a new one makes the certificate anew.

    With `renew` the servers' certificates are made anew, and only the present authority is trusted from then
    on. With `new_ca` the authority is: certificates of the one before are trusted as well until the next
    `renew`, so that servers and clients can be restarted one by one.
    """
    files = Folder(folder)
    authority = _authority(files, folder, now, passphrase, renew=renew, new=new_ca)
    for file, (name, hosts) in _CERTIFICATES.items():
        asked = kafka_hosts if file == KAFKA_NODE_FILE else ()
        present = _hosts_in(folder / file)
        names = tuple(dict.fromkeys((*hosts, *present, *asked)))
        again = renew or not set(asked) <= present
        files.once(file, partial(_certificate, authority, name, names, now), again=again)
    superuser = files.once("postgres_superuser", _password).decode()
    files.once("database_superuser", partial(_dsn, "postgres", superuser))
    for service in SERVICES:
        files.once(f"kafka_{service}", _password)
        for role in logins_of(service):
            password = files.once(f"password_{role}", _password).decode()
            files.once(f"database_{role}", partial(_dsn, role, password))
    files.once("grafana_admin", _password)
    return files.made


def _authority(
    files: Folder, folder: Path, now: dt.datetime, passphrase: bytes, *, renew: bool, new: bool
) -> Issued:
    trusted, key = folder / "authority", folder / AUTHORITY_KEY
    if new or not key.exists():
        fresh = new_authority(now)
        before = x509.load_pem_x509_certificates(trusted.read_bytes())[:1] if trusted.exists() else []
        kept = b"".join(Issued(fresh.key, one).certificate_pem() for one in before)
        files.once(AUTHORITY_KEY, partial(fresh.key_pem, passphrase), again=True)
        files.once("authority", lambda: fresh.certificate_pem() + kept, again=True)
        return fresh
    present = x509.load_pem_x509_certificates(trusted.read_bytes())
    authority = read_issued(key.read_bytes(), trusted.read_bytes(), passphrase)
    if renew and len(present) > 1:
        files.once("authority", authority.certificate_pem, again=True)
    return authority


def _hosts_in(file: Path) -> frozenset[str]:
    """Return the names and addresses in a certificate; none where there is no file, or it names none."""
    if not file.exists():
        return frozenset()
    return hosts_of(x509.load_pem_x509_certificate(file.read_bytes()))


def _certificate(authority: Issued, name: str, hosts: tuple[str, ...], now: dt.datetime) -> bytes:
    return issue(authority, name, hosts, now).pem()


def passphrase_in(file: Path) -> bytes:
    """Return the passphrase of a file, which is made where it is missing; raise `PassphraseTooShort`."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_secret(file, secrets.token_urlsafe(_PASSPHRASE_BYTES).encode(), private=True)
    passphrase = file.read_bytes().strip()
    if len(passphrase) < _SHORTEST_PASSPHRASE:
        raise PassphraseTooShort
    return passphrase


def _password() -> str:
    return secrets.token_urlsafe(_PASSWORD_BYTES)


def _dsn(role: str, password: str) -> str:
    trust = "sslmode=verify-full&sslrootcert=/run/secrets/authority"
    return f"postgresql://{role}:{password}@postgres:5432/{DATABASE}?{trust}"


def write_secret(path: Path, content: bytes, *, private: bool) -> None:
    """Write beside and rename, so that an interrupted run leaves no half of a secret."""
    beside = path.with_name(f".{path.name}.new")
    beside.touch(mode=0o600)
    beside.write_bytes(content)
    beside.chmod(0o600 if private else 0o644)
    beside.replace(path)


def main(
    folder: Annotated[Path, typer.Argument(help="Where the secrets go; keep it out of git.")] = Path(
        ".samspil/secrets"
    ),
    *,
    passphrase: Annotated[
        Path, typer.Option(help="File with the passphrase of the authority's key; made where it is missing.")
    ] = Path(".samspil/authority-passphrase"),
    renew: Annotated[bool, typer.Option(help="Issue the servers' certificates anew, for a year.")] = False,
    new_ca: Annotated[
        bool, typer.Option("--new-authority", help="Make a new authority, for five years.")
    ] = False,
    kafka_host: Annotated[
        list[str] | None,
        typer.Option(help="Name or address by which Kafka is reached from outside; may be repeated."),
    ] = None,
) -> None:
    """Make every secret that is missing."""
    try:
        made = make_credentials(
            folder,
            dt.datetime.now(dt.UTC),
            passphrase=passphrase_in(passphrase),
            renew=renew,
            new_ca=new_ca,
            kafka_hosts=kafka_host or (),
        )
    except (WrongPassphrase, PassphraseTooShort) as refused:
        typer.echo(f"{passphrase}: {refused.__doc__}", err=True)
        sys.exit(1)
    typer.echo(f"Made in {folder}: {', '.join(made)}." if made else f"All secrets are in {folder}.")
    typer.echo(f"Keep {passphrase} elsewhere: it is needed for new certificates only.")


if __name__ == "__main__":
    typer.run(main)
