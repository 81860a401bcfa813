"""A demo year against a real server in a process of its own, left alone and killed in the middle."""

import asyncio
import signal
from collections.abc import Iterator

import pytest
import uvloop
from rich.console import Console

from demo.play import play
from demo.report import Report
from tests.servers import scratch_folder
from tests.up import Server

CASES = 12
DAYS = 230
SEED = 7
IN_THE_MIDDLE = 160


class Killable(Server):
    """A server that is killed while a year is played on it."""

    kills = 0

    def kill_in_the_middle(self, commands: int) -> None:
        """Kill the server with -9 while requests are under way, and start it again."""
        if commands == IN_THE_MIDDLE:
            self.end(signal.SIGKILL)
            self.kills += 1
            self.start()

    async def played(self, *, killed: bool = False) -> Report:
        """Wait for the server, and play a year against it."""
        await self.ready()
        console = Console(stderr=True, quiet=True)
        watch = self.kill_in_the_middle if killed else (lambda _commands: None)
        return await play(self.url, cases=CASES, seed=SEED, console=console, days=DAYS, watch=watch)


@pytest.fixture
def server() -> Iterator[Killable]:
    """Run a server on a folder of its own."""
    with scratch_folder() as folder:
        running = Killable(folder / "data")
        running.start()
        try:
            yield running
        finally:
            running.end(signal.SIGTERM)


def run(server: Killable, *, killed: bool = False) -> Report:
    """Play on an event loop as the command line has it."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(server.played(killed=killed))


def failed(report: Report) -> list[str]:
    """Return the checks that do not hold."""
    return [f"{check.name}: {check.said}" for check in report.checks if not check.holds]


@pytest.fixture(scope="module")
def undisturbed() -> Report:
    """Return the report of a year in which nothing went wrong."""
    with scratch_folder() as folder:
        server = Killable(folder / "data")
        server.start()
        try:
            return run(server)
        finally:
            server.end(signal.SIGTERM)


def test_a_year_is_played_and_accounted_for(undisturbed: Report) -> None:
    """Every service holds each case as its commands were answered, and no sealed value is readable."""
    assert failed(undisturbed) == []
    assert undisturbed.holds

    assert undisturbed.funnel["opened"] > CASES / 2
    assert undisturbed.funnel["in_force"] > 0
    assert undisturbed.refused_reads > 0
    assert undisturbed.away == {}
    assert any("All checks hold" in line for line in undisturbed.lines())
    assert undisturbed.as_dict()["holds"] is True


def test_a_year_survives_the_death_of_the_server(server: Killable, undisturbed: Report) -> None:
    """A server that is killed in the middle and started again loses nothing and does nothing twice."""
    report = run(server, killed=True)

    assert failed(report) == []
    assert server.kills == 1
    assert report.away
    assert report.digest == undisturbed.digest
    assert report.funnel == undisturbed.funnel
