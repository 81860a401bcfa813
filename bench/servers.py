"""The servers that a benchmark runs on: PostgreSQL, and Apache Kafka or the embedded broker, empty."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

import asyncpg

from services.kernel.embedded.servers import broker, postgres
from tests.apache_kafka import apache_kafka
from tests.servers import scratch_folder

# Durable as in production; only checkpoints are kept out of the runs, since they would hit one at random.
_SETTINGS: Final = {"shared_buffers": "256MB", "max_wal_size": "4GB", "checkpoint_timeout": "30min"}


@dataclass(frozen=True)
class Servers:
    """Where they are; each contender has a database of its own on the one server."""

    dsn_of: dict[str, str]
    bootstrap: str
    kafka: bool
    postgres_pid: int


@asynccontextmanager
async def servers(*databases: str, kafka: bool) -> AsyncIterator[Servers]:
    """Run both while the block runs, with these databases."""
    async with AsyncExitStack() as running:
        folder = await asyncio.to_thread(running.enter_context, scratch_folder())
        database = await running.enter_async_context(postgres(folder / "postgres", settings=_SETTINGS))
        owner = await asyncpg.connect(database.dsn)
        for name in databases:
            await owner.execute(f"create database {name}")
        await owner.close()
        if kafka:
            road = await running.enter_async_context(apache_kafka(folder / "kafka"))
            bootstrap = road.bootstrap
        else:
            light = await running.enter_async_context(broker(folder / "broker"))
            bootstrap = light.bootstrap
        dsn_of = {name: database.database(name) for name in databases}
        yield Servers(dsn_of, bootstrap, kafka, database.pid)
