"""The fixtures of all tests: a database, a broker, and what to say where Apache Kafka cannot run."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from services.kernel.embedded.servers import Postgres
from tests import chromium_tools
from tests.apache_kafka import ApacheKafka, missing_for_kafka
from tests.distribution import ByUnit
from tests.node_tools import node_tools_folder
from tests.prometheus_tools import missing_for_prometheus, to_be_fetched
from tests.servers import a_broker, a_kafka, a_postgres, drop_database, fresh_database, remove_topics

LEFT_OUT = "needs"
FETCHES = pytest.StashKey[bool]()
INSTALLS = pytest.StashKey[bool]()

# The same examples each time, however slow the machine is: what fails fails for everybody.
hypothesis.settings.register_profile(
    "steady", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("steady")


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


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByUnit:
    """Hand out tests that share what is slow to start to one worker."""
    return ByUnit(config, log)


def pytest_configure(config: pytest.Config) -> None:
    """Note whether Prometheus and Chromium must be fetched, to say so at the end."""
    config.stash[FETCHES] = to_be_fetched()
    config.stash[INSTALLS] = chromium_tools.to_be_installed()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out the tests on a program that cannot run here; in CI they run into the missing program."""
    if os.environ.get("CI"):
        return
    for mark, (program, missing) in left_out().items():
        if not missing:
            continue
        said = f"{LEFT_OUT} {program}: no {' and no '.join(missing)} on this machine"
        for item in items:
            if item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=said))


def left_out() -> dict[str, tuple[str, list[str]]]:
    """Return, by the mark of the tests, the program that they need and what is missing for it."""
    return {
        "kafka": ("Apache Kafka", missing_for_kafka()),
        "prometheus": ("Prometheus", missing_for_prometheus()),
    }


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line each what was left out."""
    skipped = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    for program, missing in left_out().values():
        count = sum(f"{LEFT_OUT} {program}" in one for one in skipped)
        if count:
            needs = " and ".join(missing)
            terminalreporter.write_line(f"Left out: {count} tests on {program}, which needs {needs}.")
    if terminalreporter.config.stash[FETCHES] and not to_be_fetched():
        terminalreporter.write_line("Prometheus was not on this machine: it was fetched by apt, once.")
    if terminalreporter.config.stash[INSTALLS] and not chromium_tools.to_be_installed():
        terminalreporter.write_line("Chromium was not on this machine: it was installed by apt, once.")
    without = sum("needs Chromium" in one for one in skipped)
    if without:
        terminalreporter.write_line(f"Left out: {without} tests in a browser, which need Chromium.")
