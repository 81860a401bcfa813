"""Lay one topic for each service: `python -m deploy.topics --bootstrap HOST:PORT`, as often as wanted."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from contracts.event import SERVICES, topic_of
from deploy.kafka_access import KafkaAccess, NoAccess, administrator

_DAY_MS = 24 * 60 * 60 * 1000


class PartitionsAreFixed(RuntimeError):
    """A topic has another number of partitions than is set, and that number never changes in place."""


class TopicRefused(RuntimeError):
    """The broker did not create a topic."""


async def lay_topics(
    access: KafkaAccess, *, partitions: int = 12, replication: int = 3, retention_days: int = 14
) -> list[str]:
    """Create the topics that are missing, and return their names.

    With three copies of each partition two must have a message before it is acknowledged. Retention may be
    short, since everything can be sent again from the event logs. Raises `PartitionsAreFixed` when a topic
    has another number of partitions, `TopicRefused` when the broker refuses, `NoAccess` without a way in.
    """
    wanted = [topic_of(service) for service in SERVICES]
    async with administrator(access) as admin:
        there = set(await admin.list_topics())
        await _refuse_other_counts(admin, [topic for topic in wanted if topic in there], partitions)
        settings = {
            "cleanup.policy": "delete",
            "retention.ms": str(retention_days * _DAY_MS),
            "min.insync.replicas": str(max(1, replication - 1)),
            "unclean.leader.election.enable": "false",
        }
        missing = [topic for topic in wanted if topic not in there]
        if missing:
            made = await admin.create_topics(
                [NewTopic(topic, partitions, replication, topic_configs=settings) for topic in missing]
            )
            _refuse_errors(made.topic_errors)
    return missing


async def _refuse_other_counts(admin: AIOKafkaAdminClient, topics: list[str], partitions: int) -> None:
    if not topics:
        return
    for found in await admin.describe_topics(topics):
        has = len(found["partitions"])
        if has != partitions:
            raise PartitionsAreFixed(
                f"{found['topic']} has {has} partitions, and {partitions} are set."
                " The number is never changed in place: the events of a case would move to another partition"
                f" and overtake each other. Ask for {has} again; or give the topic a new version, let every"
                " consumer drain the old one, and move all services at once."
            )


def _refuse_errors(answers: list[tuple[str, int, str | None]]) -> None:
    for topic, code, sentence in answers:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:  # another run of this script was quicker
            raise TopicRefused(f"{topic} was not created: {error.__name__} {sentence or ''}")


def main(
    *,
    bootstrap: Annotated[str, typer.Option(help="Addresses of the brokers.")],
    partitions: Annotated[int, typer.Option(help="Of each topic; fixed for the life of the topic.")] = 12,
    replication: Annotated[int, typer.Option(help="Copies of each partition.")] = 3,
    authority: Annotated[Path | None, typer.Option(help="PEM file of whom to trust.")] = None,
    certificate: Annotated[Path | None, typer.Option(help="PEM file with our key and certificate.")] = None,
) -> None:
    """Create the topics that are missing; change none that is there."""
    access = KafkaAccess(bootstrap, authority=authority, certificate=certificate)
    try:
        made = asyncio.run(lay_topics(access, partitions=partitions, replication=replication))
    except (NoAccess, PartitionsAreFixed, TopicRefused) as refused:
        typer.echo(refused, err=True)
        raise typer.Exit(1) from refused
    typer.echo(f"Created {', '.join(made)}." if made else "All topics are there.")


if __name__ == "__main__":
    typer.run(main)
