"""The fixtures of all tests: a database, a broker, and what to say where Apache Kafka cannot run."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services.kernel.embedded import Postgres
from tests.apache_kafka import ApacheKafka, missing_for_kafka
from tests.node_tools import node_tools_folder
from tests.servers import a_broker, a_kafka, a_postgres, drop_database, fresh_database, remove_topics

LEFT_OUT = "needs Apache Kafka"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """Run one embedded PostgreSQL for all tests of this process."""
    with a_postgres() as server:
        yield server


@pytest.fixture
async def postgres_dsn(postgres_server: Postgres) -> AsyncIterator[str]:
    """Lend a database of the test's own, empty."""
    dsn = await fresh_database(postgres_server)
    yield dsn
    await drop_database(postgres_server, dsn)


@pytest.fixture(scope="session")
def apache_kafka() -> Iterator[ApacheKafka]:
    """Run one Apache Kafka of one node for all tests of this process."""
    if missing := missing_for_kafka():
        pytest.fail(f"Apache Kafka cannot run without {' and '.join(missing)}")
    with a_kafka() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def node_tools() -> Path:
    """Return the folder of the JavaScript tools, installed from their lock file."""
    return node_tools_folder()


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def broker_kind(request: pytest.FixtureRequest) -> str:
    """Name the broker that the test runs on; only `kafka` has an idempotent producer."""
    return str(request.param)


@pytest.fixture
def broker_address(request: pytest.FixtureRequest, broker_kind: str) -> Iterator[str]:
    """Run a broker of that kind: an embedded one of the test's own, or the session's Apache Kafka."""
    if broker_kind == "kafka":
        yield request.getfixturevalue("apache_kafka").bootstrap
    else:
        with a_broker() as server:
            yield server.bootstrap


@pytest.fixture
async def bootstrap(broker_address: str, broker_kind: str) -> AsyncIterator[str]:
    """Lend the address of a broker without topics."""
    yield broker_address
    if broker_kind == "kafka":
        await remove_topics(broker_address)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out the tests on Apache Kafka where it cannot run; in CI they run into the missing program."""
    missing = missing_for_kafka()
    if missing and not os.environ.get("CI"):
        reason = pytest.mark.skip(reason=f"{LEFT_OUT}: no {' and no '.join(missing)} on this machine")
        for item in items:
            if item.get_closest_marker("kafka"):
                item.add_marker(reason)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line what was left out."""
    skipped = [
        report for report in terminalreporter.stats.get("skipped", []) if LEFT_OUT in str(report.longrepr)
    ]
    if skipped:
        missing = " and ".join(missing_for_kafka())
        terminalreporter.write_line(f"Left out: {len(skipped)} tests on Apache Kafka, which needs {missing}.")
