"""The embedded PostgreSQL server, on a data folder that survives restarts, crashes and kill -9."""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from services.kernel.embedded.child_process import POLL_SECONDS, Child, refuse_taken_port
from services.kernel.embedded.postgres_data import (
    ENVIRONMENT,
    bundled_programs,
    give,
    make_cluster,
    refuse_out_of_reach,
    unprivileged,
)

_START_SECONDS = 60.0  # a crash recovery may be part of it
_SOCKET_PATH_LIMIT = 100  # the operating system allows 107 bytes
_SOCKET_NUMBER = 5432
_SETTINGS = {"jit": "off", "max_connections": "200", "timezone": "UTC", "unix_socket_permissions": "0700"}
_LEFTOVERS = ("is still in use", "lock file")  # a killed server's children may outlive it by a moment


class Postgres:
    """A PostgreSQL server of our own; `folder` holds its data, log and password.

    Without `port` it can be reached only through a socket inside the data folder, with `port` on the loopback
    address too. The superuser `postgres`, whose random password is kept beside the data, lays the roles that
    services log in as (`database_logins`).
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        programs: Path | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = folder.absolute()
        self._data = self._folder / "data"
        self._port = port
        self._programs = programs
        self._settings = _SETTINGS | dict(settings or {})
        self._child = Child("postgres", self._folder, last_signal=signal.SIGINT)
        self._account = unprivileged()
        self._short: Path | None = None

    @property
    def dsn(self) -> str:
        """Return the connection string of the database `postgres`."""
        return self.database("postgres")

    @property
    def pid(self) -> int:
        """Return the process id of the postmaster."""
        return self._child.pid

    def alive(self) -> bool:
        """Say whether the server runs."""
        return self._child.alive()

    def trim_log(self, limit: int) -> None:
        """Set the server's log aside where it is longer than a limit, in bytes."""
        self._child.trim_log(limit)

    def database(self, name: str) -> str:
        """Return the connection string of the database `name` for the superuser."""
        password = (self._folder / "password").read_text().strip()
        if self._port is not None:
            return f"postgresql://postgres:{password}@127.0.0.1:{self._port}/{name}"
        return f"postgresql://postgres:{password}@/{name}?host={quote(str(self._socket_folder()), safe='')}"

    async def start(self) -> None:
        """Start the server, making the data folder the first time; raises `ServerFailed` when it cannot."""
        programs = self._programs or bundled_programs()
        await self._child.end_orphan(signal.SIGINT)
        if self.alive():
            return
        refuse_out_of_reach((self._folder, programs), self._account)
        if not self._data.exists():
            await asyncio.to_thread(make_cluster, self._folder, programs, self._account)
        if self._port is not None:
            refuse_taken_port(self._port)
        deadline = time.monotonic() + _START_SECONDS
        while not await self._came_up(programs, deadline):  # noqa: ASYNC110 - the last remains set no event
            await asyncio.sleep(POLL_SECONDS)

    async def stop(self, *, immediate: bool = False) -> None:
        """Stop the server: with a checkpoint, or `immediate` as in a power cut (the next start recovers)."""
        await self._child.end(signal.SIGQUIT if immediate else signal.SIGINT)
        if self._short is not None:
            shutil.rmtree(self._short, ignore_errors=True)
            self._short = None

    async def kill(self) -> None:
        """Kill the server's first process with -9, as a crash would."""
        await self._child.end(signal.SIGKILL)

    async def wait(self) -> int:
        """Wait until the server has ended, by whatever cause, and return its exit code."""
        return await self._child.wait()

    async def _came_up(self, programs: Path, deadline: float) -> bool:
        """Launch once; return False where remains of a killed server need another try."""
        self._clear_dead_pid_file()
        self._child.launch(
            [str(programs / "postgres"), *self._options()], env=ENVIRONMENT, account=self._account
        )
        while not self._ready():
            if not self.alive():
                if time.monotonic() < deadline and any(
                    cause in self._child.log_tail() for cause in _LEFTOVERS
                ):
                    return False
                self._child.failed("the embedded PostgreSQL ended at once")
            if time.monotonic() > deadline:
                await self.stop(immediate=True)
                self._child.failed(f"the embedded PostgreSQL was not ready within {_START_SECONDS:.0f} s")
            await asyncio.sleep(POLL_SECONDS)
        return True

    def _ready(self) -> bool:
        """Read the state that the server itself keeps as the last line of its pid file."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return lines[:1] == [str(self.pid)] and lines[-1].strip() == "ready"

    def _clear_dead_pid_file(self) -> None:
        """Remove a pid file whose number is a zombie's or another program's: PostgreSQL would believe it."""
        import psutil  # noqa: PLC0415 - comes with the extra `embedded`

        path = self._data / "postmaster.pid"
        with contextlib.suppress(FileNotFoundError, ValueError, IndexError, psutil.NoSuchProcess):
            process = psutil.Process(int(path.read_text().split()[0]))
            if process.status() == psutil.STATUS_ZOMBIE or process.name() != "postgres":
                path.unlink()

    def _options(self) -> list[str]:
        settings = self._settings | {
            "listen_addresses": "" if self._port is None else "127.0.0.1",
            "port": str(self._port or _SOCKET_NUMBER),
            "unix_socket_directories": str(self._socket_folder()),
        }
        return ["-D", str(self._data), *(f"--{name}={value}" for name, value in settings.items())]

    def _socket_folder(self) -> Path:
        if len(os.fsencode(self._data / f".s.PGSQL.{self._port or _SOCKET_NUMBER}")) <= _SOCKET_PATH_LIMIT:
            return self._data
        if self._short is None:
            self._short = Path(tempfile.mkdtemp(prefix="samspil-"))
            give(self._short, self._account)
        return self._short
