"""Servers of a test's own."""

import asyncio
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from services.kernel.embedded.servers import broker as embedded_broker
from tests.apache_kafka import apache_kafka as kafka_cluster
from tests.relay_load import Fallible
from tests.servers import running as in_its_own_loop
from tests.servers import scratch_folder
from tests.up import Server


@pytest.fixture
def fallible(broker_kind: str) -> Iterator[Fallible]:
    """Run a broker of the test's own, which may be killed."""
    with scratch_folder() as folder:
        server: Any = kafka_cluster if broker_kind == "kafka" else embedded_broker
        with in_its_own_loop(server(folder / "broker")) as running_:
            yield running_


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Run `samspil up` once for the tests that only call it; each uses a municipality of its own."""
    with scratch_folder() as folder:
        one = Server(folder / "data")
        one.start(subprocess.DEVNULL)
        try:
            asyncio.run(one.ready())
            yield one
        finally:
            one.end(signal.SIGTERM)
