"""Whoever is told to stop while it connects to the broker leaves nothing open."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka.conn import AIOKafkaConnection
from aiokafka.protocol.metadata import MetadataRequest

from services.kernel.consumer.consumer import EventConsumer
from services.kernel.kafka.clients import admin, consumer, producer, start_client
from services.kernel.settings import Settings
from tests.tally import running, settings_for

CLIENTS: dict[str, Callable[[Settings], Any]] = {"producer": producer, "consumer": consumer, "admin": admin}


class Wires:
    """The connections on which a client has asked for the cluster; the first to ask is cancelled."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[AIOKafkaConnection] = []
        self.starting: asyncio.Task[Any] | None = None
        send = AIOKafkaConnection.send

        def asking(connection: AIOKafkaConnection, request: Any, **how: Any) -> Any:
            if isinstance(request, MetadataRequest):
                self.asked.append(connection)
                if self.starting is not None:
                    self.starting.cancel()
            return send(connection, request, **how)

        monkeypatch.setattr(AIOKafkaConnection, "send", asking)

    async def cut(self, start: Any) -> list[bool]:
        """Cancel a start while it asks for the cluster; return of each connection whether it is open."""
        self.starting = asyncio.create_task(start)
        with pytest.raises(asyncio.CancelledError):
            await self.starting
        return [connection.connected() for connection in self.asked]


@pytest.mark.parametrize("kind", CLIENTS)
async def test_a_client_that_is_given_up_is_closed(
    kind: str, bootstrap: str, broker_kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has reached the broker and not heard of the cluster yet."""
    settings = settings_for("", bootstrap, broker_kind)

    assert await Wires(monkeypatch).cut(start_client(CLIENTS[kind](settings), settings)) == [False]


async def test_an_intake_that_is_given_up_is_closed(
    postgres_dsn: str, bootstrap: str, broker_kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was told to stop before it had joined its group."""
    async with an_intake(postgres_dsn, bootstrap, broker_kind) as intake:
        assert await Wires(monkeypatch).cut(intake.start()) == [False]


@asynccontextmanager
async def an_intake(dsn: str, bootstrap: str, broker_kind: str) -> AsyncIterator[EventConsumer]:
    """Lend an intake that has not begun."""
    async with running(dsn, "", "none") as runtime:
        yield EventConsumer(runtime.processor, runtime.pool, settings_for(dsn, bootstrap, broker_kind))
