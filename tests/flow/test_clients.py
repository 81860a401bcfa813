"""A client that is cancelled while it connects to the broker leaves nothing open."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka.conn import AIOKafkaConnection
from aiokafka.protocol.metadata import MetadataRequest

from services.kernel.consumer.consumer import EventConsumer
from services.kernel.kafka.clients import admin, consumer, producer, start_client
from services.kernel.kafka.signals import NO_SIGNALS
from services.kernel.settings import Settings
from tests.tally import running, settings_for

CLIENTS: dict[str, Callable[[Settings], Any]] = {"producer": producer, "consumer": consumer, "admin": admin}


class Wires:
    """The connections on which a client has requested metadata; the first request is cancelled."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.requested: list[AIOKafkaConnection] = []
        self.starting: asyncio.Task[Any] | None = None
        send = AIOKafkaConnection.send

        def requesting(connection: AIOKafkaConnection, request: Any, **how: Any) -> Any:
            if isinstance(request, MetadataRequest):
                self.requested.append(connection)
                if self.starting is not None:
                    self.starting.cancel()
            return send(connection, request, **how)

        monkeypatch.setattr(AIOKafkaConnection, "send", requesting)

    async def cut(self, start: Any) -> list[bool]:
        """Cancel a start while it requests metadata; return of each connection whether it is open."""
        self.starting = asyncio.create_task(start)
        with pytest.raises(asyncio.CancelledError):
            await self.starting
        return [connection.connected() for connection in self.requested]


@pytest.mark.parametrize("kind", CLIENTS)
async def test_a_client_that_is_abandoned_is_closed(
    kind: str, bootstrap: str, broker_kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has reached the broker, and not received the cluster's metadata yet."""
    settings = settings_for("", bootstrap, broker_kind)

    assert await Wires(monkeypatch).cut(start_client(CLIENTS[kind](settings), settings)) == [False]


async def test_a_consumer_that_is_abandoned_is_closed(
    postgres_dsn: str, bootstrap: str, broker_kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was cancelled before it had joined its group."""
    async with a_consumer(postgres_dsn, bootstrap, broker_kind) as made:
        assert await Wires(monkeypatch).cut(made.start()) == [False]


@asynccontextmanager
async def a_consumer(dsn: str, bootstrap: str, broker_kind: str) -> AsyncIterator[EventConsumer]:
    """Yield a consumer that has not been started."""
    async with running(dsn, "", "none") as runtime:
        settings = settings_for(dsn, bootstrap, broker_kind)
        yield EventConsumer(runtime.processor, runtime.pool, settings, NO_SIGNALS)
