"""Users and rights in Kafka: make them what they should be, whatever they were."""

import time
from collections.abc import Iterable, Mapping
from typing import Final

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
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

from deploy.kafka_access import KafkaAccess, NoAccess

_ITERATIONS: Final = 8192
_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.05
_MARKER: Final = "samspil.settled"


def right(user: str, kind: ResourceType, name: str, operation: AclOperation) -> AclBinding:
    """Return the right of a user to one operation on one thing."""
    literally, principal = ResourcePatternType.LITERAL, f"User:{user}"
    return AclBinding(kind, name, literally, principal, "*", operation, AclPermissionType.ALLOW)


def set_users(
    access: KafkaAccess, passwords: Mapping[str, str], wanted: Mapping[str, Iterable[AclBinding]]
) -> None:
    """Set these passwords, and give each user exactly these rights; raises `NoAccess` without a way in.

    A user without a password here keeps the one they have. Rights that a user no longer has are taken away.
    """
    users: list[UserScramCredentialAlteration] = [
        UserScramCredentialUpsertion(
            user, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _ITERATIONS), password.encode()
        )
        for user, password in passwords.items()
    ]
    _change(access, users, wanted)


def remove_user(access: KafkaAccess, user: str) -> None:
    """Take away a user with all their rights; raises `NoAccess` without a way in, `UserUnknown`."""
    if user not in users_of(access):
        raise UserUnknown
    _change(access, [UserScramCredentialDeletion(user, ScramMechanism.SCRAM_SHA_512)], {user: ()})


def users_of(access: KafkaAccess) -> frozenset[str]:
    """Return the names of all users; raises `NoAccess` without a way in."""
    admin = _client(access)  # a client that is let go answers nothing more
    described = admin.describe_user_scram_credentials()
    return frozenset(described.result(_SECONDS))  # type: ignore[union-attr]  # a dict only for named users


class UserUnknown(Exception):
    """Kafka has no such user."""


def _change(
    access: KafkaAccess,
    users: list[UserScramCredentialAlteration],
    rights: Mapping[str, Iterable[AclBinding]],
) -> None:
    admin = _client(access)
    if users:
        _done(admin.alter_user_scram_credentials(users).values())
    wanted = {each for of_user in rights.values() for each in of_user}
    there = {each for user in rights for each in _rights_held(admin, user)}
    if wanted - there:
        _done(admin.create_acls(list(wanted - there)).values())
    if there - wanted:
        _done(admin.delete_acls([_exactly(each) for each in there - wanted]).values())
    _wait_until_applied(admin)


def _wait_until_applied(admin: AdminClient) -> None:
    """Wait until the broker that answers has applied what was changed before.

    An acknowledged change is in Kafka's metadata log, but a broker may still check a password against the
    one before. The log is in order: once a right that was added last is seen, everything earlier holds.
    """
    marker = AclBinding(
        ResourceType.TOPIC,
        _MARKER,
        ResourcePatternType.LITERAL,
        f"User:{_MARKER}",
        "*",
        AclOperation.DESCRIBE,
        AclPermissionType.DENY,
    )
    _done(admin.create_acls([marker]).values())
    deadline = time.monotonic() + _SECONDS
    while not admin.describe_acls(_exactly(marker)).result(_SECONDS):
        if time.monotonic() > deadline:
            raise NoAccess("Kafka has not applied the new users and rights: run this again")
        time.sleep(_LOOK_SECONDS)
    _done(admin.delete_acls([_exactly(marker)]).values())


def _exactly(of: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(
        of.restype,
        of.name,
        of.resource_pattern_type,
        of.principal,
        of.host,
        of.operation,
        of.permission_type,
    )


def _rights_held(admin: AdminClient, user: str) -> list[AclBinding]:
    of_user = AclBindingFilter(
        ResourceType.ANY,
        None,  # type: ignore[arg-type]  # any name, says the documentation
        ResourcePatternType.ANY,
        f"User:{user}",
        None,  # type: ignore[arg-type]  # any host
        AclOperation.ANY,
        AclPermissionType.ANY,
    )
    held: list[AclBinding] = admin.describe_acls(of_user).result(_SECONDS)
    return held


def _client(access: KafkaAccess) -> AdminClient:
    """Return an administration client that has reached Kafka."""
    admin = AdminClient({**access.for_librdkafka(), "log_level": 0})
    try:
        admin.list_topics(timeout=_SECONDS)
    except KafkaException as refused:
        raise NoAccess(f"no way into Kafka at {access.bootstrap}: {refused.args[0]}") from refused
    return admin


def _done(futures: Iterable[object]) -> None:
    for future in futures:
        future.result(_SECONDS)  # type: ignore[attr-defined]  # confluent-kafka does not say its futures' type
