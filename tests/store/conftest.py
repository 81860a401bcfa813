"""Store tests run on the embedded PostgreSQL and, as far as it matters, on the oldest one promised.

On the oldest one, which Debian has, what is about schemas, rights and lists runs in full, and every other
test function once. Of a file about HTTP, which reaches the database by the same statements, one test does; of
the access matrix the one that lets every route answer.
"""

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import pytest

from services.kernel.embedded.servers import Postgres
from tests.http_site import Site, open_site
from tests.servers import DEBIAN_15, a_postgres

OLDEST: Final = "postgres-15"
SERVERS: Final = {"postgres-18": None} | ({OLDEST: DEBIAN_15} if DEBIAN_15.exists() else {})
IN_FULL: Final = re.compile(
    r"test_(migrations|roles|row_level_security|schema_conventions|servers|\w+_projections)"
)
ABOUT_HTTP: Final = re.compile(r"test_(http_\w+|access_matrix|issuer_keys|tenant_transactions|pool)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what would show nothing more on the oldest PostgreSQL."""
    seen: set[str] = set()
    left_out = {item for item in items if OLDEST in item.nodeid and _shows_nothing_more(item.nodeid, seen)}
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]


def _shows_nothing_more(nodeid: str, seen: set[str]) -> bool:
    file = Path(nodeid.partition("::")[0]).stem
    if IN_FULL.fullmatch(file):
        return False
    kind = file if ABOUT_HTTP.fullmatch(file) else nodeid.partition("[")[0]
    is_known = kind in seen
    seen.add(kind)
    return is_known


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
