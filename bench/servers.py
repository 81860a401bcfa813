"""The servers that a benchmark runs on: PostgreSQL, and Apache Kafka or the embedded broker, empty."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from services.kernel.embedded import broker, postgres
from tests.apache_kafka import apache_kafka
from tests.servers import scratch_folder

# Durable as in production; only checkpoints are kept out of the runs, since they would hit one at random.
_SETTINGS: Final = {"shared_buffers": "256MB", "max_wal_size": "4GB", "checkpoint_timeout": "30min"}


@asynccontextmanager
async def servers(*, kafka: bool) -> AsyncIterator[tuple[str, str]]:
    """Run both while the block runs; yield the connection string and the broker's address."""
    async with AsyncExitStack() as running:
        folder = await asyncio.to_thread(running.enter_context, scratch_folder())
        database = await running.enter_async_context(postgres(folder / "postgres", settings=_SETTINGS))
        if kafka:
            road = await running.enter_async_context(apache_kafka(folder / "kafka"))
            yield database.dsn, road.bootstrap
        else:
            light = await running.enter_async_context(broker(folder / "broker"))
            yield database.dsn, light.bootstrap
