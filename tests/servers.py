"""The servers the tests run on: one of each kind a session, a fresh database a test."""

import asyncio
import contextlib
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TypeVar

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient

from services.kernel.embedded.servers import Broker, Postgres, broker, postgres
from tests.apache_kafka import ApacheKafka, apache_kafka

DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")

Server = TypeVar("Server")


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Lend a folder that the unprivileged account of a server may pass, and remove it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="samspil-test-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def running(server: contextlib.AbstractAsyncContextManager[Server]) -> Iterator[Server]:
    """Run a server around plain code, for fixtures that outlive the event loops of the tests."""
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        started = loop.run_until_complete(server.__aenter__())
        try:
            yield started
        finally:
            loop.run_until_complete(server.__aexit__(None, None, None))


@contextlib.contextmanager
def a_postgres(programs: Path | None = None, *, port: int | None = None) -> Iterator[Postgres]:
    """Run a PostgreSQL on an empty folder: the embedded one, or the one with these programs."""
    with (
        scratch_folder() as folder,
        running(postgres(folder / "postgres", programs=programs, port=port)) as server,
    ):
        yield server


@contextlib.contextmanager
def a_broker() -> Iterator[Broker]:
    """Run the embedded broker, empty."""
    with scratch_folder() as folder, running(broker(folder / "broker")) as server:
        yield server


@contextlib.contextmanager
def a_kafka() -> Iterator[ApacheKafka]:
    """Run an Apache Kafka of one node, unprotected."""
    with scratch_folder() as folder, running(apache_kafka(folder / "kafka")) as cluster:
        yield cluster


async def fresh_database(server: Postgres, *, template: str = "") -> str:
    """Create a database with a name of its own, and return its connection string.

    It is empty, or a copy of the one that `template` connects to; rights on the database are not copied.
    """
    name = f"test_{uuid.uuid4().hex}"
    copied = f" template {_name_in(template)}" if template else ""
    await _as_superuser(server, f"create database {name}{copied}")
    return server.database(name)


async def drop_database(server: Postgres, dsn: str) -> None:
    """Drop a database of `fresh_database`, with the connections that are left."""
    await _as_superuser(server, f"drop database if exists {_name_in(dsn)} with (force)")


def _name_in(dsn: str) -> str:
    return dsn.partition("?")[0].rpartition("/")[2]


async def remove_topics(bootstrap: str) -> None:
    """Remove every topic (and with it every offset committed on it), so that the next test starts on none."""
    async with an_admin(bootstrap) as admin:
        topics = [topic for topic in await admin.list_topics() if not topic.startswith("__")]
        if topics:
            await admin.delete_topics(topics)


@contextlib.asynccontextmanager
async def an_admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """Lend an administration client of an unprotected broker."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def _as_superuser(server: Postgres, statement: str) -> None:
    connection = await asyncpg.connect(server.dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
