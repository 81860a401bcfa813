"""Writes of a request: a transaction that sees one municipality, repeated where another writer was faster."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import asyncpg

from services.kernel.postgres.connections import Tx, tenant_transaction
from services.kernel.runtime.runtime import Runtime
from services.kernel.streams.handler import BatchResult
from services.kernel.streams.processor import RETRIES

POOL_WAIT_SECONDS: Final = 5.0
"""How long a request waits for a connection."""

T = TypeVar("T")


async def commit_for(
    runtime: Runtime, tenant: str, work: Callable[[Tx], Awaitable[tuple[BatchResult, T]]]
) -> T:
    """Commit what `work` saves, in a new transaction where another writer was faster; then publish."""
    for attempt in range(RETRIES):
        try:
            async with tenant_transaction(runtime.api_pool, tenant, wait_seconds=POOL_WAIT_SECONDS) as tx:
                batch, result = await work(tx)
        except asyncpg.SerializationError:
            if attempt + 1 == RETRIES:
                raise
            await runtime.processor.pause_before_retry(attempt)
        else:
            runtime.processor.publish_committed(batch)
            return result
    raise AssertionError
