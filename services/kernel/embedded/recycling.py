"""Embedded broker with its services: signals, restart when it has ended, recycling when it is full."""

import asyncio
from collections.abc import Mapping
from typing import Final

from services.kernel.embedded.quiescence import drain_consumers
from services.kernel.embedded.servers import Broker
from services.kernel.kafka.signals import Signals, TopicSignals
from services.kernel.limits import Limits
from services.kernel.logging import log
from services.kernel.outbox.republish import refill
from services.kernel.runtime.runtime import Runtime


class EmbeddedBroker:
    """The broker of one process with all its services.

    It does not let a fetch wait for data, so its relays wake its consumers by `signals`. At each fetch it
    reads through every batch of a topic, so it is replaced by an empty one from time to time. Its memory is
    its only store, so it is filled again from the logs.
    """

    def __init__(self, server: Broker, limits: Limits) -> None:
        """Begin with an empty broker and no services."""
        self._server = server
        self._limits = limits
        self._runtimes: Mapping[str, Runtime] = {}
        self._lock = asyncio.Lock()
        self.signals: Final[Signals] = TopicSignals()

    def serve(self, runtimes: Mapping[str, Runtime]) -> None:
        """Serve these services from now on."""
        self._runtimes = runtimes

    async def check(self) -> None:
        """Restart a broker that has ended, and recycle one that is full."""
        self._server.trim_log(self._limits.server_log_bytes)
        async with self._lock:
            if not self._server.alive():
                log.error("broker_ended")
                await self._restart()
            elif self.is_full():
                await self._recycle()

    def is_full(self) -> bool:
        """Return whether a topic holds so many batches that each fetch is expensive."""
        most = self._limits.embedded_batches
        return any(runtime.relay.batches_sent > most for runtime in self._runtimes.values())

    async def recycle(self) -> None:
        """Replace the broker by an empty one once its consumers have drained it.

        Events that are committed meanwhile wait in the database. The new broker holds the latest events, for
        outside readers; or everything, where a consumer has not drained the old one.
        """
        async with self._lock:
            await self._recycle()

    async def restart(self) -> None:
        """Start a broker that has ended, and fill it with everything that the logs hold."""
        async with self._lock:
            await self._restart()

    async def _recycle(self) -> None:
        await asyncio.gather(*(runtime.stop_relay() for runtime in self._runtimes.values()))
        drained = await drain_consumers(self._runtimes, patience=self._limits.embedded_drain_seconds)
        log.info("broker_recycled", drained=drained)
        await self._disconnect()
        await self._server.kill()
        await self._restart(latest=self._limits.embedded_latest if drained else None)

    async def _restart(self, *, latest: int | None = None) -> None:
        """Start the server, and fill it, with whole logs or the latest events, before it is used."""
        await self._disconnect()
        await self._server.start()
        try:
            await refill({name: runtime.settings for name, runtime in self._runtimes.items()}, latest=latest)
        except BaseException:
            await self._server.kill()  # half filled it would pass for whole
            raise
        for runtime in self._runtimes.values():
            runtime.connect_broker()

    async def _disconnect(self) -> None:
        await asyncio.gather(*(runtime.disconnect_broker() for runtime in self._runtimes.values()))
