"""What a side effect may read while it is performed, outside every transaction."""

import asyncio
from collections.abc import Mapping
from typing import Any, TypeAlias
from uuid import UUID

import msgspec

from services.kernel.errors import ProblemError
from services.kernel.postgres.connections import Pool
from services.kernel.settings import Settings
from services.kernel.streams.processor import BatchProcessor
from services.kernel.streams.store import load_streams

Private: TypeAlias = tuple[Any, Mapping[str, Any]]


class EffectReader:
    """Reads the streams of one service for its side effects."""

    def __init__(self, processor: BatchProcessor, pool: Pool, settings: Settings) -> None:
        """Read by what the service knows."""
        self._processor = processor
        self._pool = pool
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(processor.service.state)
        self.settings = settings
        self._wanted: list[UUID] = []
        self._reading: asyncio.Task[dict[UUID, Private]] | None = None

    async def read(self, stream_id: UUID) -> Private:
        """Return a stream's state (None where there is none) and its opened private values by name.

        What is asked at the same moment is read together.
        """
        if self._reading is None or self._reading.done() or not self._wanted:
            self._wanted = []
            self._reading = asyncio.create_task(self._read_together(self._wanted))
        self._wanted.append(stream_id)
        try:
            return (await asyncio.shield(self._reading))[stream_id]
        except ProblemError:  # one of them cannot be opened: each for itself, so that the others can
            return (await self._read([stream_id]))[stream_id]

    async def consents_fresh(self, stream_id: UUID) -> bool:
        """Return whether what this service remembers of a stream's consents is fresh and whole."""
        async with self._pool.acquire() as tx:
            return stream_id in await self._processor.with_fresh_consents(tx, [stream_id])

    async def _read_together(self, wanted: list[UUID]) -> dict[UUID, Private]:
        await asyncio.sleep(0)
        self._wanted = []  # whoever asks from here on is read for anew
        return await self._read(list(dict.fromkeys(wanted)))

    async def _read(self, ids: list[UUID]) -> dict[UUID, Private]:
        async with self._pool.acquire() as tx:
            rows = await load_streams(tx, ids, self._decoder)
            opened = await self._processor.dependencies.keyring.open_streams(tx, ids)
        return {at: (rows[at].state if at in rows else None, opened.get(at, {})) for at in ids}
