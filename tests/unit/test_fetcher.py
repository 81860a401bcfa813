"""aiokafka's fetcher misses the end of a fetch, unless `wake_on_fetch_end` lets it be woken."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.subscription_state import SubscriptionState

from services.kernel.kafka.clients import wake_on_fetch_end

PARTITION = TopicPartition("samspil.referral.v1", 0)
NOTHING: Any = SimpleNamespace(API_VERSION=4, topics=[])
NEVER = 3_600.0
CYCLES = 20
"""More cycles of the event loop than the fetcher needs to start a fetch."""


class Cluster:
    """One broker, which leads every partition."""

    def leader_for_partition(self, _: TopicPartition) -> int:
        """Return the broker's id."""
        return 1


class Client:
    """A client whose requests are answered by the test."""

    def __init__(self) -> None:
        """Begin with no request."""
        self._loop = asyncio.get_running_loop()
        self._metadata_max_age_ms = 300_000
        self.cluster = Cluster()
        self.requests: list[asyncio.Future[Any]] = []

    async def send(self, _node: int, _request: Any) -> Any:
        """Record a request, and return its answer."""
        self.requests.append(self._loop.create_future())
        return await self.requests[-1]


@asynccontextmanager
async def fetching() -> AsyncIterator[tuple[Fetcher, Client]]:
    """Run a fetcher that nothing but events wakes, with its first fetch in flight."""
    client, subscriptions = Client(), SubscriptionState()
    subscriptions.assign_from_user([PARTITION])
    subscriptions.seek(PARTITION, 0)
    fetcher = Fetcher(client, subscriptions, fetcher_timeout=NEVER)
    try:
        await some_cycles()
        yield fetcher, client
    finally:
        await fetcher.close()


async def some_cycles() -> None:
    """Let everything happen that waits for no event."""
    for _ in range(CYCLES):
        await asyncio.sleep(0)


@pytest.mark.parametrize("repaired", [True, False])
async def test_a_fetch_that_ends_while_the_fetcher_is_woken_is_followed_by_another(
    repaired: bool,  # noqa: FBT001  a parameter of the test
) -> None:
    """The fetcher of aiokafka alone waits for its timeout here; if it ever does not, the remedy can go."""
    async with fetching() as (fetcher, client):
        if repaired:
            wake_on_fetch_end(fetcher)
        fetcher._notify(fetcher._wait_consume_future)  # as when the records of another partition are consumed
        client.requests[0].set_result(NOTHING)
        await some_cycles()
        started = len(client.requests)

    assert started == (2 if repaired else 1)


async def test_a_fetch_that_ends_by_itself_is_followed_by_one_other() -> None:
    """To be woken twice starts no second fetch of the same partitions."""
    async with fetching() as (fetcher, client):
        wake_on_fetch_end(fetcher)
        client.requests[0].set_result(NOTHING)
        await some_cycles()

        assert len(client.requests) == 2
