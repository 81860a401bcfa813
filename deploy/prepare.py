"""Make an installation ready for its services: `python -m deploy.prepare`, before each new version starts."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from contracts.event import SERVICES
from deploy.kafka_access import KafkaAccess, NoAccess
from deploy.principals import consumed_services, grant, service_named
from deploy.topics import PartitionsAreFixed, TopicRefused, lay_topics
from services.kernel.errors import ProblemError
from services.kernel.postgres.migrations import migrate
from services.kernel.postgres.roles import lay_roles, logins_of


async def prepare(secrets: Path, kafka: KafkaAccess, *, partitions: int, replication: int) -> None:
    """Lay roles, migrate every service as its own migrator, give rights to what is new; then Kafka's part.

    Every step may be repeated. `secrets` is a folder as `deploy.credentials` makes it.
    """
    logins = [role for service in SERVICES for role in logins_of(service)]
    passwords = {role: _secret(secrets, f"password_{role}") for role in logins}
    superuser = _secret(secrets, "database_superuser")
    await lay_roles(superuser, passwords, SERVICES)
    for name in SERVICES:
        dsn = _secret(secrets, f"database_samspil_{name}_migrator")
        for file in await migrate(dsn, service_named(name)):
            typer.echo(f"{name}: {file}")
    await lay_roles(superuser, passwords, SERVICES)
    for topic in await lay_topics(kafka, partitions=partitions, replication=replication):
        typer.echo(f"created {topic}")
    grant(kafka, consumed_services(), {name: _secret(secrets, f"kafka_{name}") for name in SERVICES})


def _secret(folder: Path, name: str) -> str:
    return (folder / name).read_text(encoding="utf-8").strip()


def main(
    bootstrap: Annotated[str, typer.Option(help="Addresses of Kafka's inner listener.")],
    *,
    secrets: Annotated[Path, typer.Option(help="Folder of the secrets.")] = Path("/run/secrets"),
    partitions: Annotated[int, typer.Option(help="Of each topic; fixed for the life of the topic.")] = 12,
    replication: Annotated[int, typer.Option(help="Copies of each partition.")] = 3,
) -> None:
    """Make the databases, topics, users and rights of all services what this version needs."""
    kafka = KafkaAccess(bootstrap, authority=secrets / "authority", certificate=secrets / "kafka_operator")
    try:
        asyncio.run(prepare(secrets, kafka, partitions=partitions, replication=replication))
    except (ProblemError, NoAccess, PartitionsAreFixed, TopicRefused) as refused:
        typer.echo(f"{type(refused).__name__}: {refused}", err=True)
        sys.exit(1)
    typer.echo("Everything is ready.")


if __name__ == "__main__":
    typer.run(main)
