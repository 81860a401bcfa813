"""Effect context: what a side effect may read while it is performed, outside every transaction."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

from services.kernel.postgres.connections import Pool
from services.kernel.settings import Settings
from services.kernel.streams.processor import BatchProcessor

Private: TypeAlias = tuple[Any, Mapping[str, Any]]
"""A state, and the private values of its stream by name."""

T = TypeVar("T")


class EffectReader:
    """Reads the streams of one municipality in one service, for a side effect."""

    def __init__(self, processor: BatchProcessor, pool: Pool, settings: Settings, tenant: str) -> None:
        """Read with the service's own keys."""
        self._processor = processor
        self._pool = pool
        self._tenant = tenant
        self.settings = settings

    async def read(self, stream_id: UUID) -> Private:
        """Return a stream's state (None where there is none) and its opened private values by name."""
        key = self._tenant, stream_id
        async with self._pool.acquire() as tx:
            streams = await self._processor.load(tx, [key])
            opened = await self._processor.dependencies.keyring.open_streams(tx, [key])
        state = streams[key].state if key in streams else None
        return state, opened.get(key, {})

    async def query(self, query: Callable[..., Awaitable[T]], **parameters: Any) -> T:
        """Run a query of the service's projections for the municipality of the side effect."""
        async with self._pool.acquire() as tx:
            return await query(tx, tenant=self._tenant, **parameters)

    async def consents_fresh(self, stream_id: UUID) -> bool:
        """Return whether the consents that this service holds of a stream are fresh and complete."""
        key = self._tenant, stream_id
        async with self._pool.acquire() as tx:
            return key in await self._processor.with_fresh_consents(tx, [key])
