"""The processes of a campaign: forked from one that has read all code already, so that a start is cheap."""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Final

import uvloop

from services.kernel.crash_points import VARIABLE
from services.kernel.http.server import run_services
from services.kernel.logging import set_up_logs
from services.kernel.settings import read_settings
from tests.fault.chain import CHAIN, JumpingClock

_FORK: Final = multiprocessing.get_context("forkserver")
_FORK.set_forkserver_preload(["tests.fault.members"])
_STOP_SECONDS: Final = 40.0


class Member:
    """One process of one service, on a port of its own, started again and again."""

    def __init__(self, service: str, slot: int, folder: Path, environment: Mapping[str, str]) -> None:
        self.service = service
        self.slot = slot
        self.log = folder / f"{service}-{slot}.log"
        self.kept = False
        self.frozen = False
        self.starts = 0
        self._environment = dict(environment)
        self._process: ForkServerProcess | None = None

    @property
    def name(self) -> str:
        """Return its name in tables and logs."""
        return f"{self.service}-{self.slot}"

    @property
    def port(self) -> int:
        """Return the port on which it answers."""
        return int(self._environment["SAMSPIL_PORT"])

    def alive(self) -> bool:
        """Say whether the process runs."""
        return self._process is not None and self._process.is_alive()

    def start(self, crash_at: str = "") -> None:
        """Start the process; with `crash_at` it dies by itself at that point."""
        self.starts += 1
        environment = self._environment | {VARIABLE: crash_at}
        self._process = _FORK.Process(target=live, args=(self.service, environment, self.log), daemon=True)
        self._process.start()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, where there is anybody to take it."""
        if self._process is not None and self._process.pid and self.alive():
            os.kill(self._process.pid, number)
            self.frozen = number is signal.SIGSTOP

    async def kill(self) -> None:
        """Kill the process as the kernel would for want of memory."""
        self.signal(signal.SIGKILL)
        await self.ended()

    async def stop(self) -> None:
        """Ask the process to end, and kill it where it does not."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        if not await self.ended(_STOP_SECONDS):
            await self.kill()

    def end(self) -> None:
        """End the process at once, and wait for it."""
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.join(10)

    async def ended(self, seconds: float = 10.0) -> bool:
        """Wait until the process has ended, at most a while; return whether it has."""
        if self._process is not None:
            await asyncio.to_thread(self._process.join, seconds)
        return not self.alive()


def live(service: str, environment: Mapping[str, str], log: Path) -> None:
    """Run one service as it runs in production, until a signal comes or the campaign is gone."""
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), 2)
    set_up_logs("info", log)
    uvloop.run(_live(service, Path(environment["CHAIN_CLOCK"])))


async def _live(service: str, clock: Path) -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    asyncio.get_running_loop().add_reader(parent.sentinel, lambda: os._exit(1))
    await run_services([CHAIN[service]], read_settings(), JumpingClock(clock))
