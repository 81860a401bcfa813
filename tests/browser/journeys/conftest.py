"""The municipality of made-up people in which all journeys take place."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest_asyncio

from demo.wire import wire_to
from demo.world import TENANT, World
from tests.up import Server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world(installation: Server) -> AsyncIterator[World]:
    """Let departments, organisations and their people in, once for all journeys."""
    async with wire_to(installation.url, TENANT, print) as wire:
        made = World(wire, f"{installation.url}/development/oidc", datetime.now(UTC).date())
        await made.set_up()
        yield made
