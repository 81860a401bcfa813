"""Brokers of the tests: they carry messages, restart after a crash, and serve the loopback only."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import NewTopic

from services.kernel.embedded.child_process import free_port
from services.kernel.embedded.servers import Broker, broker
from services.kernel.errors import FolderInUse, ServerFailed
from tests.apache_kafka import ApacheKafka
from tests.apache_kafka import apache_kafka as kafka_cluster
from tests.open_ports import listening_addresses
from tests.servers import an_admin, scratch_folder

TOPIC = "samspil.referral.v1"


@pytest.fixture
def folder() -> Iterator[Path]:
    """Lend an empty folder."""
    with scratch_folder() as scratch:
        yield scratch


@pytest.fixture
async def embedded(folder: Path) -> AsyncIterator[Broker]:
    """Run an embedded broker of the test's own."""
    async with broker(folder) as started:
        yield started


async def test_a_message_goes_round(bootstrap: str) -> None:
    """What is sent is received, on either broker."""
    await _topic(bootstrap)

    await _send(bootstrap, b"a case")

    assert await _received(bootstrap, 1) == [b"a case"]


async def test_a_test_starts_without_topics(bootstrap: str) -> None:
    """What an earlier test sent is gone."""
    async with an_admin(bootstrap) as admin:
        assert [topic for topic in await admin.list_topics() if not topic.startswith("__")] == []


async def test_the_embedded_broker_comes_back_empty(embedded: Broker) -> None:
    """After a crash the embedded broker has the same address and no memory."""
    before = embedded.bootstrap
    await _topic(before)

    await embedded.kill()
    await embedded.start()

    assert embedded.bootstrap == before
    async with an_admin(before) as admin:
        assert await admin.list_topics() == []


async def test_a_crash_of_the_broker_is_noticed(embedded: Broker) -> None:
    """Whoever waits for the broker learns that it died."""
    waiting = asyncio.create_task(embedded.wait())
    os.kill(embedded.pid, signal.SIGKILL)

    assert await asyncio.wait_for(waiting, 10) == -signal.SIGKILL
    assert not embedded.alive()


async def test_the_embedded_broker_listens_on_the_loopback(embedded: Broker) -> None:
    """No other machine can reach the embedded broker."""
    port = int(embedded.bootstrap.rpartition(":")[2])

    assert listening_addresses(embedded.pid) == {("127.0.0.1", port)}


async def test_a_taken_port_is_said(folder: Path) -> None:
    """A port that another program has is named in the error."""
    listener = await asyncio.start_server(lambda *_: None, "127.0.0.1", port := free_port())
    async with listener:
        with pytest.raises(ServerFailed, match=f"port {port} on 127.0.0.1 is taken"):
            async with broker(folder, port=port):
                pass


async def test_one_owner_a_folder(folder: Path, embedded: Broker) -> None:
    """A second broker on the same folder is refused."""
    with pytest.raises(FolderInUse):
        async with broker(folder):
            pass

    assert embedded.alive()


@pytest.mark.kafka
async def test_apache_kafka_listens_on_the_loopback(apache_kafka: ApacheKafka) -> None:
    """No other machine can reach the Kafka of the tests."""
    node = apache_kafka.nodes[0]

    addresses = {address.removeprefix("::ffff:") for address, _ in listening_addresses(node.child.pid)}

    assert addresses == {"127.0.0.1"}


@pytest.mark.kafka
async def test_a_killed_node_loses_nothing_that_was_acknowledged(folder: Path) -> None:
    """Of three nodes one may be killed: what was acknowledged is read, and the node comes back."""
    async with kafka_cluster(folder, brokers=3) as cluster:
        await _topic(cluster.bootstrap, copies=3)
        await _send(cluster.bootstrap, b"before")

        await cluster.kill(2)
        await _send(cluster.bootstrap, b"during")
        await cluster.start()
        await _send(cluster.bootstrap, b"after")

        assert await _received(cluster.bootstrap, 3) == [b"before", b"during", b"after"]


async def _topic(bootstrap: str, *, copies: int = 1) -> None:
    async with an_admin(bootstrap) as admin:
        await admin.create_topics([NewTopic(TOPIC, num_partitions=1, replication_factor=copies)])


async def _send(bootstrap: str, value: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    try:
        await asyncio.wait_for(producer.send_and_wait(TOPIC, value), 30)
    finally:
        await producer.stop()


async def _received(bootstrap: str, count: int) -> list[bytes | None]:
    consumer = AIOKafkaConsumer(TOPIC, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        async with asyncio.timeout(30):
            return [(await consumer.getone()).value for _ in range(count)]
    finally:
        await consumer.stop()
