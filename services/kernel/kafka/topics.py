"""The topics: one a service, made on purpose and never by accident."""

from collections.abc import Iterable
from typing import Any

from aiokafka.admin import NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from contracts.event import topic_of
from services.kernel.errors import ProblemError
from services.kernel.kafka.clients import BrokerUnreachable, admin, start_client
from services.kernel.settings import Settings


class TopicMismatch(ProblemError):
    """A topic has another number of partitions than is set: drain it, and move to a new topic version."""


async def make_topics(
    services: Iterable[str], settings: Settings, *, replication: int = 1, dry_run: bool = False
) -> list[str]:
    """Make the missing topics (with `dry_run` none) and return their names.

    Raises `TopicMismatch` where a topic has another number of partitions, and `BrokerUnreachable`.
    """
    client = await start_client(admin(settings), settings)
    try:
        wanted = [topic_of(service) for service in services]
        existing = set(await client.list_topics())
        missing = [topic for topic in wanted if topic not in existing]
        if missing and not dry_run:
            made: Any = await client.create_topics(
                [NewTopic(topic, settings.partitions, replication) for topic in missing]
            )
            for name, code, *_ in made.topic_errors:
                if code and for_code(code) is not TopicAlreadyExistsError:
                    raise BrokerUnreachable(f"topic {name} could not be made ({for_code(code).__name__})")
        present = [topic for topic in wanted if topic in existing]
        for described in await client.describe_topics(present) if present else []:
            count = len(described["partitions"])
            if count != settings.partitions:
                raise TopicMismatch(
                    f"{described['topic']} has {count}, SAMSPIL_PARTITIONS is {settings.partitions}"
                )
    finally:
        await client.close()
    return missing
