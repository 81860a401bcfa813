"""Store tests run on the embedded PostgreSQL and, where Debian has it, on the oldest one promised."""

from collections.abc import Iterator

import pytest

from services.kernel.embedded.servers import Postgres
from tests.servers import DEBIAN_15, a_postgres

SERVERS = {"postgres-18": None} | ({"postgres-15": DEBIAN_15} if DEBIAN_15.exists() else {})


@pytest.fixture(scope="session", params=SERVERS)
def postgres_server(request: pytest.FixtureRequest) -> Iterator[Postgres]:
    """Run one PostgreSQL of each version for all store tests of this process."""
    with a_postgres(SERVERS[request.param]) as server:
        yield server
