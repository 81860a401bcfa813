"""Let programs of others read events from outside: `python -m deploy.reader add NAME --topics audit`."""

import re
import secrets as randomness
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Final

import typer
from confluent_kafka.admin import AclBinding, AclOperation, ResourceType

from contracts.event import SERVICES, topic_of
from deploy.kafka_access import KafkaAccess, NoAccess
from deploy.kafka_rights import UserUnknown, remove_user, right, set_users, users_of

_PREFIX: Final = "reader."
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,39}")
_PASSWORD_BYTES: Final = 24

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Let programs of others read events from outside.",
)

Name = Annotated[str, typer.Argument(help="Of the reader: a-z, 0-9 and -.")]
Bootstrap = Annotated[str, typer.Option(help="Addresses of Kafka's inner listener.")]
Secrets = Annotated[Path, typer.Option(help="Folder with `authority` and `kafka_operator`.")]


class ReaderRefused(Exception):
    """A reader cannot be made as it was asked for."""


def reader_rights(name: str, services: Collection[str]) -> set[AclBinding]:
    """Return what a reader may do: read these services' topics, in a consumer group of its own."""
    user = user_of_reader(name)
    may = (AclOperation.READ, AclOperation.DESCRIBE)
    return {
        right(user, ResourceType.GROUP, user, AclOperation.READ),
        *(
            right(user, ResourceType.TOPIC, topic_of(each), operation)
            for each in services
            for operation in may
        ),
    }


def user_of_reader(name: str) -> str:
    """Return a reader's name in Kafka, which is its consumer group's as well; raises `ReaderRefused`."""
    if not _NAME.fullmatch(name):
        raise ReaderRefused(
            f"{name!r} cannot be the name of a reader: 1 to 40 of a-z, 0-9 and -, beginning with a letter"
        )
    return f"{_PREFIX}{name}"


def set_reader(
    access: KafkaAccess, name: str, services: Collection[str], *, new_password: bool = False
) -> str | None:
    """Make a reader, or set anew what it may read; return its password where one was made.

    Raises `ReaderRefused` for a name or a service that cannot be, `NoAccess` without a way in.
    """
    user = user_of_reader(name)
    if unknown := sorted(set(services) - set(SERVICES)):
        raise ReaderRefused(f"there is no service {', '.join(unknown)}, but {', '.join(SERVICES)}")
    if not services:
        raise ReaderRefused(f"name what it reads: one or more of {', '.join(SERVICES)}")
    needs_one = new_password or user not in users_of(access)
    password = randomness.token_urlsafe(_PASSWORD_BYTES) if needs_one else None
    set_users(access, {user: password} if password else {}, {user: reader_rights(name, services)})
    return password


def delete_reader(access: KafkaAccess, name: str) -> None:
    """Take away a reader with its rights; raises `ReaderRefused` where there is none, `NoAccess`."""
    try:
        remove_user(access, user_of_reader(name))
    except UserUnknown:
        raise ReaderRefused(f"there is no reader {name}: `list` names all") from None


def readers(access: KafkaAccess) -> list[str]:
    """Return the names of all readers; raises `NoAccess` without a way in."""
    return sorted(user.removeprefix(_PREFIX) for user in users_of(access) if user.startswith(_PREFIX))


@app.command()
def add(
    name: Name,
    *,
    topics: Annotated[str, typer.Option(help="The services whose events it reads, with commas between.")],
    new_password: Annotated[bool, typer.Option("--new-password", help="Give it another password.")] = False,
    bootstrap: Bootstrap = "kafka:9095",
    secrets: Secrets = Path("/run/secrets"),
) -> None:
    """Let a program read the events of some services; called again, it sets what the program may read."""

    def work() -> str:
        services = [each.strip() for each in topics.split(",") if each.strip()]
        password = set_reader(_operator(bootstrap, secrets), name, services, new_password=new_password)
        user = user_of_reader(name)
        said = f"{user} may read {', '.join(topic_of(each) for each in services)} in the group {user}."
        return f"{said}\nIts password, shown this once: {password}" if password else said

    _say(work)


@app.command()
def remove(
    name: Name, *, bootstrap: Bootstrap = "kafka:9095", secrets: Secrets = Path("/run/secrets")
) -> None:
    """Take away a reader with its rights."""

    def work() -> str:
        delete_reader(_operator(bootstrap, secrets), name)
        return f"{name} reads nothing any more."

    _say(work)


@app.command("list")
def list_readers(*, bootstrap: Bootstrap = "kafka:9095", secrets: Secrets = Path("/run/secrets")) -> None:
    """Name all readers."""
    _say(lambda: "\n".join(readers(_operator(bootstrap, secrets))) or "There is no reader.")


def _operator(bootstrap: str, folder: Path) -> KafkaAccess:
    return KafkaAccess(bootstrap, authority=folder / "authority", certificate=folder / "kafka_operator")


def _say(work: Callable[[], str]) -> None:
    try:
        typer.echo(work())
    except (NoAccess, ReaderRefused) as refused:
        typer.echo(refused, err=True)
        raise typer.Exit(1) from refused


if __name__ == "__main__":
    app()
