"""Give each service a user of its own in Kafka, and its own rights: `python -m deploy.principals`."""

import importlib
import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Annotated

import typer
from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)

from contracts.event import SERVICES, topic_of
from deploy.kafka_access import KafkaAccess, NoAccess
from services.kernel.consumer.decoding import EventDecoder
from services.kernel.decider.service import Service

_ITERATIONS = 8192
_SECONDS = 30.0
_LOOK_SECONDS = 0.05
_MARKER = "samspil.settled"


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
    own, group = topic_of(service), user_of(service)
    return {
        _right(service, ResourceType.TOPIC, own, AclOperation.WRITE),
        _right(service, ResourceType.TOPIC, own, AclOperation.READ),
        _right(service, ResourceType.TOPIC, own, AclOperation.DESCRIBE),
        _right(service, ResourceType.GROUP, group, AclOperation.READ),
        _right(service, ResourceType.BROKER, "kafka-cluster", AclOperation.IDEMPOTENT_WRITE),
        *(_right(service, ResourceType.GROUP, user_of(other), AclOperation.DESCRIBE) for other in consumers),
        *(_right(service, ResourceType.TOPIC, topic_of(other), AclOperation.READ) for other in sources),
        *(_right(service, ResourceType.TOPIC, topic_of(other), AclOperation.DESCRIBE) for other in sources),
    }


def grant(access: KafkaAccess, sources: Mapping[str, Collection[str]], passwords: Mapping[str, str]) -> None:
    """Make users and rights what they should be, whatever they were; raises `NoAccess` without a way in.

    Passwords are set anew each time, so that a changed file is a changed password. Rights that a service no
    longer has are taken away.
    """
    admin = AdminClient({**access.for_librdkafka(), "log_level": 0})
    _reach(admin, access)
    users: list[UserScramCredentialAlteration] = [
        UserScramCredentialUpsertion(
            user_of(service),
            ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _ITERATIONS),
            passwords[service].encode(),
        )
        for service in sources
    ]
    _done(admin.alter_user_scram_credentials(users).values())
    wanted = {
        right
        for service, others in sources.items()
        for right in rights_of(service, others, [other for other in sources if service in sources[other]])
    }
    there = {right for service in sources for right in _rights_held(admin, service)}
    if wanted - there:
        _done(admin.create_acls(list(wanted - there)).values())
    if there - wanted:
        _done(admin.delete_acls([_exactly(right) for right in there - wanted]).values())
    _wait_until_applied(admin)


def _wait_until_applied(admin: AdminClient) -> None:
    """Wait until the broker that answers has applied what was changed before.

    An acknowledged change is in Kafka's metadata log, but a broker may still check a password against the
    one before. The log is in order: once a right that was added last is seen, everything earlier holds.
    """
    right = AclBinding(
        ResourceType.TOPIC,
        _MARKER,
        ResourcePatternType.LITERAL,
        f"User:{_MARKER}",
        "*",
        AclOperation.DESCRIBE,
        AclPermissionType.DENY,
    )
    _done(admin.create_acls([right]).values())
    deadline = time.monotonic() + _SECONDS
    while not admin.describe_acls(_exactly(right)).result(_SECONDS):
        if time.monotonic() > deadline:
            raise NoAccess("Kafka has not applied the new users and rights: run this again")
        time.sleep(_LOOK_SECONDS)
    _done(admin.delete_acls([_exactly(right)]).values())


def _right(service: str, kind: ResourceType, name: str, operation: AclOperation) -> AclBinding:
    literally, principal = ResourcePatternType.LITERAL, f"User:{user_of(service)}"
    return AclBinding(kind, name, literally, principal, "*", operation, AclPermissionType.ALLOW)


def _exactly(right: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(
        right.restype,
        right.name,
        right.resource_pattern_type,
        right.principal,
        right.host,
        right.operation,
        right.permission_type,
    )


def _rights_held(admin: AdminClient, service: str) -> list[AclBinding]:
    of_user = AclBindingFilter(
        ResourceType.ANY,
        None,  # type: ignore[arg-type]  # any name, says the documentation
        ResourcePatternType.ANY,
        f"User:{user_of(service)}",
        None,  # type: ignore[arg-type]  # any host
        AclOperation.ANY,
        AclPermissionType.ANY,
    )
    held: list[AclBinding] = admin.describe_acls(of_user).result(_SECONDS)
    return held


def _reach(admin: AdminClient, access: KafkaAccess) -> None:
    try:
        admin.list_topics(timeout=_SECONDS)
    except KafkaException as refused:
        raise NoAccess(f"no way into Kafka at {access.bootstrap}: {refused.args[0]}") from refused


def _done(futures: Iterable[object]) -> None:
    for future in futures:
        future.result(_SECONDS)  # type: ignore[attr-defined]  # confluent-kafka does not say its futures' type


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
