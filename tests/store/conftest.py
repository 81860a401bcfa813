"""Store tests run on the embedded PostgreSQL and, where Debian has it, on the oldest one promised."""

from collections.abc import AsyncIterator, Iterator

import pytest

from services.kernel.embedded.servers import Postgres
from tests.http_site import Site, open_site
from tests.servers import DEBIAN_15, a_postgres

SERVERS = {"postgres-18": None} | ({"postgres-15": DEBIAN_15} if DEBIAN_15.exists() else {})


@pytest.fixture(scope="session", params=SERVERS)
def postgres_server(request: pytest.FixtureRequest) -> Iterator[Postgres]:
    """Run one PostgreSQL of each version for all store tests of this process."""
    with a_postgres(SERVERS[request.param]) as server:
        yield server


@pytest.fixture
async def site(postgres_dsn: str) -> AsyncIterator[Site]:
    """Serve a tally service on a port."""
    async with open_site(postgres_dsn) as opened:
        yield opened
