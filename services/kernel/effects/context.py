"""Effect context: what a side effect may read while it is performed, outside every transaction."""

from collections.abc import Mapping
from typing import Any, TypeAlias
from uuid import UUID

import msgspec

from services.kernel.postgres.connections import Pool
from services.kernel.settings import Settings
from services.kernel.streams.processor import BatchProcessor
from services.kernel.streams.store import load_streams

Private: TypeAlias = tuple[Any, Mapping[str, Any]]
"""A state, and the private values of its stream by name."""


class EffectReader:
    """Reads the streams of one service for its side effects."""

    def __init__(self, processor: BatchProcessor, pool: Pool, settings: Settings) -> None:
        """Read with the service's own keys."""
        self._processor = processor
        self._pool = pool
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(processor.service.state)
        self.settings = settings

    async def read(self, stream_id: UUID) -> Private:
        """Return a stream's state (None where there is none) and its opened private values by name."""
        async with self._pool.acquire() as tx:
            rows = await load_streams(tx, [stream_id], self._decoder)
            opened = await self._processor.dependencies.keyring.open_streams(tx, [stream_id])
        state = rows[stream_id].state if stream_id in rows else None
        return state, opened.get(stream_id, {})

    async def consents_fresh(self, stream_id: UUID) -> bool:
        """Return whether the consents that this service holds of a stream are fresh and complete."""
        async with self._pool.acquire() as tx:
            return stream_id in await self._processor.with_fresh_consents(tx, [stream_id])
