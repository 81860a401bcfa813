"""Unit tests need no network and no server: a connection or a bound address fails the test."""

import socket
from collections.abc import Iterator
from typing import NoReturn

import pytest


@pytest.fixture(autouse=True)
def no_network() -> Iterator[None]:
    """Refuse every connection and every bound address."""

    def refuse(_socket: socket.socket, address: object) -> NoReturn:
        raise AssertionError(f"a unit test uses the network: {address}")

    with pytest.MonkeyPatch.context() as patch:
        for name in ("bind", "connect", "connect_ex"):
            patch.setattr(socket.socket, name, refuse)
        yield
