"""A demo year against a real server in a process of its own, left alone and killed in the middle."""

import asyncio
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop
from rich.console import Console

from services.demo.play import play
from services.demo.report import Report
from services.kernel.embedded_process import free_port
from tests.servers import scratch_folder
from tests.waiting import until

CASES = 12
DAYS = 230
SEED = 7
IN_THE_MIDDLE = 160

pytestmark = pytest.mark.xdist_group("demo")


class Server:
    """`samspil up` on a folder, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        """Choose a port; nothing runs yet."""
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.kills = 0
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process; it answers some time later."""
        command = [sys.executable, "-m", "services", "up", "--data", str(self._folder), "--clock", "virtual"]
        self._process = subprocess.Popen([*command, "--port", str(self.port)])

    def end(self, how: signal.Signals) -> None:
        """Send a signal, and wait until the process is gone."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(60)

    async def answers(self) -> bool:
        """Return whether the server is ready."""
        try:
            await asyncio.to_thread(self._ask)
        except (urllib.error.URLError, OSError):
            return False
        return True

    def _ask(self) -> None:
        urllib.request.urlopen(f"{self.url}/ready", timeout=5).close()  # noqa: S310  our own address

    def kill_in_the_middle(self, commands: int) -> None:
        """Kill the server with -9 while requests are under way, and start it again."""
        if commands == IN_THE_MIDDLE:
            self.end(signal.SIGKILL)
            self.kills += 1
            self.start()

    async def played(self, *, killed: bool = False) -> Report:
        """Wait for the server, and play a year against it."""
        await until(self.answers, seconds=120)
        console = Console(stderr=True, quiet=True)
        watch = self.kill_in_the_middle if killed else (lambda _commands: None)
        return await play(self.url, cases=CASES, seed=SEED, console=console, days=DAYS, watch=watch)


@pytest.fixture
def server() -> Iterator[Server]:
    """Run a server on a folder of its own."""
    with scratch_folder() as folder:
        running = Server(folder / "data")
        running.start()
        try:
            yield running
        finally:
            running.end(signal.SIGTERM)


def run(server: Server, *, killed: bool = False) -> Report:
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
        server = Server(folder / "data")
        server.start()
        try:
            return run(server)
        finally:
            server.end(signal.SIGTERM)


def test_a_year_is_played_and_accounted_for(undisturbed: Report) -> None:
    """Every case stands in every service as its people were told, and nothing lies open."""
    assert failed(undisturbed) == []
    assert undisturbed.holds

    assert undisturbed.funnel["opened"] > CASES / 2
    assert undisturbed.funnel["in_force"] > 0
    assert undisturbed.refused_looks > 0
    assert undisturbed.away == {}
    assert any("All checks hold" in line for line in undisturbed.lines())
    assert undisturbed.as_dict()["holds"] is True


def test_a_year_survives_the_death_of_the_server(server: Server, undisturbed: Report) -> None:
    """A server that is killed in the middle and started again loses nothing and does nothing twice."""
    report = run(server, killed=True)

    assert failed(report) == []
    assert server.kills == 1
    assert report.away
    assert report.digest == undisturbed.digest
    assert report.funnel == undisturbed.funnel
