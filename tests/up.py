"""`samspil up` on a folder, as a process that can be ended and started again."""

import asyncio
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from services.kernel.embedded.child_process import free_port
from tests.waiting import until


class Server:
    """`samspil up` with the virtual clock."""

    def __init__(self, folder: Path) -> None:
        """Choose a port; nothing runs yet."""
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, stdout: int | None = None) -> None:
        """Start the process; it is ready some time later."""
        command = [
            sys.executable,
            "-m",
            "services.cli",
            "up",
            "--data",
            str(self.folder),
            "--clock",
            "virtual",
        ]
        self._process = subprocess.Popen([*command, "--port", str(self.port)], stdout=stdout)

    @property
    def pid(self) -> int:
        """Return the id of the process."""
        assert self._process is not None
        return self._process.pid

    def end(self, how: signal.Signals) -> None:
        """Send a signal, and wait until the process is gone."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(60)

    def lines(self) -> Iterator[str]:
        """Return the lines that a process started with a pipe prints, until it ends."""
        assert self._process is not None
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                yield line.decode().rstrip()

    async def answers(self) -> bool:
        """Return whether the server is ready."""
        try:
            await asyncio.to_thread(self._request)
        except (urllib.error.URLError, OSError):
            return False
        return True

    def _request(self) -> None:
        urllib.request.urlopen(f"{self.url}/ready", timeout=5).close()  # noqa: S310  our own address

    async def ready(self) -> None:
        """Wait until the server is ready."""
        await until(self.answers, seconds=120)
