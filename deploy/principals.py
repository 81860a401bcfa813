"""Give each service a user of its own in Kafka, and its own rights: `python -m deploy.principals`."""

import importlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated

import typer
from confluent_kafka.admin import AclBinding, AclOperation, ResourceType

from contracts.event import SERVICES, topic_of
from deploy.kafka_access import KafkaAccess, NoAccess
from deploy.kafka_rights import right, set_users
from services.kernel.consumer.decoding import EventDecoder
from services.kernel.decider.service import Service


def user_of(service: str) -> str:
    """Return a service's name in Kafka, which is its consumer group's name as well."""
    return f"samspil.{service}"


def service_named(name: str) -> Service:
    """Return a service by its name, as its `app.py` states it."""
    service: Service = importlib.import_module(f"services.{name}.app").SERVICE
    return service


def consumed_services() -> dict[str, frozenset[str]]:
    """Return for each service the services whose topics it consumes, by the rule of its event decoder."""
    return {name: EventDecoder(service_named(name)).sources for name in SERVICES}


def rights_of(service: str, sources: Collection[str], consumers: Collection[str] = ()) -> set[AclBinding]:
    """Return all that a service may do.

    It writes and reads its own topic, reads the topics that it consumes, commits in its own group, and
    may read the offsets of its consumers, since it keeps its log for them.
    """
    own, user = topic_of(service), user_of(service)
    return {
        right(user, ResourceType.TOPIC, own, AclOperation.WRITE),
        right(user, ResourceType.TOPIC, own, AclOperation.READ),
        right(user, ResourceType.TOPIC, own, AclOperation.DESCRIBE),
        right(user, ResourceType.GROUP, user, AclOperation.READ),
        right(user, ResourceType.BROKER, "kafka-cluster", AclOperation.IDEMPOTENT_WRITE),
        *(right(user, ResourceType.GROUP, user_of(other), AclOperation.DESCRIBE) for other in consumers),
        *(right(user, ResourceType.TOPIC, topic_of(other), AclOperation.READ) for other in sources),
        *(right(user, ResourceType.TOPIC, topic_of(other), AclOperation.DESCRIBE) for other in sources),
    }


def grant(access: KafkaAccess, sources: Mapping[str, Collection[str]], passwords: Mapping[str, str]) -> None:
    """Make users and rights what they should be, whatever they were; raises `NoAccess` without a way in.

    Passwords are set anew each time, so that a changed file is a changed password.
    """
    set_users(
        access,
        {user_of(service): passwords[service] for service in sources},
        {
            user_of(service): rights_of(
                service, others, [other for other in sources if service in sources[other]]
            )
            for service, others in sources.items()
        },
    )


def main(
    bootstrap: Annotated[str, typer.Option(help="Addresses of the brokers' inner listener.")],
    passwords: Annotated[Path, typer.Option(help="Folder with a file `kafka_<service>` for each service.")],
    authority: Annotated[Path | None, typer.Option(help="PEM file of whom to trust.")] = None,
    certificate: Annotated[Path | None, typer.Option(help="PEM file with our key and certificate.")] = None,
) -> None:
    """Give each service its user and its rights, and take away all others."""
    access = KafkaAccess(bootstrap, authority=authority, certificate=certificate)
    read = {service: (passwords / f"kafka_{service}").read_text().strip() for service in SERVICES}
    try:
        grant(access, consumed_services(), read)
    except NoAccess as refused:
        typer.echo(refused, err=True)
        raise typer.Exit(1) from refused
    typer.echo(f"{len(SERVICES)} services have their rights.")


if __name__ == "__main__":
    typer.run(main)
