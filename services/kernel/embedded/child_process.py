"""A server program that we start as a child, that dies with us, and that the next start can clear away."""

import asyncio
import contextlib
import ctypes
import errno
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, NoReturn

from services.kernel.atomic_files import private_opener, write_whole
from services.kernel.errors import FolderInUse, ServerFailed

POLL_SECONDS = 0.02
LOG_LIMIT_BYTES = 10_000_000
_LOG_TAIL_BYTES = 4_000
_UMASK = 0o077
_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
_SAME_START_SECONDS = 2.0  # how far two readings of one process's start may lie apart


class Account(NamedTuple):
    """Whom a program runs as when it shall not run as us."""

    uid: int
    gid: int


class Child:
    """One server program: started as our child, ended with us, recognised by its pid file.

    The program gets a session of its own, so that Ctrl-C in a terminal reaches us and not it. On Linux the
    kernel sends it `last_signal` when the thread that started it ends, also when we are killed with -9: start
    it from a thread that lives as long as the server shall.
    """

    def __init__(self, name: str, folder: Path, *, last_signal: signal.Signals) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._pid_file = folder / f"{name}.pid"
        self._last_signal = last_signal
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Return the process id; raises `ServerFailed` when the program was never started."""
        if self._popen is None:
            raise ServerFailed(f"{self.name} was not started")
        return self._popen.pid

    def alive(self) -> bool:
        """Say whether the program runs."""
        return self._popen is not None and self._popen.poll() is None

    def launch(self, argv: Sequence[str], *, env: Mapping[str, str], account: Account | None = None) -> None:
        """Start the program with its output in the log file, as `account` where there is one."""
        self.trim_log()
        prefix = stepping_down(account, self._last_signal)
        if prefix:
            argv, account = [*prefix, *argv], None
        with open(self.log, "ab", opener=private_opener) as log:
            self._popen = subprocess.Popen(  # noqa: S603 - the program of a server, and our own paths
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(env),
                start_new_session=True,
                umask=_UMASK,
                user=account and account.uid,
                group=account and account.gid,
                extra_groups=account and [],
                preexec_fn=_leash(self._last_signal),  # noqa: PLW1509 - only async-signal-safe calls in it
            )
        write_whole(self._pid_file, f"{self._popen.pid} {time.time()}\n")

    def trim_log(self, limit: int = LOG_LIMIT_BYTES) -> None:
        """Set a log aside that is longer than a limit; a running program goes on at the start of the file."""
        with contextlib.suppress(FileNotFoundError):
            if self.log.stat().st_size > limit:
                shutil.copy(self.log, self.log.with_suffix(".log.1"))  # with its mode
                os.truncate(self.log, 0)

    async def wait(self) -> int:
        """Wait until the program has ended, and return its exit code (negative: the signal that ended it)."""
        if self._popen is None:
            raise ServerFailed(f"{self.name} was not started")
        while (code := self._popen.poll()) is None:  # noqa: ASYNC110 - a process sets no event
            await asyncio.sleep(POLL_SECONDS)
        return code

    async def end(self, how: signal.Signals, *, patience: float = 30.0) -> None:
        """Signal the program and wait for its end; kill it when `patience` (seconds) has run out."""
        if self._popen is not None and self.alive():
            self._popen.send_signal(how)
            try:
                await asyncio.wait_for(self.wait(), patience)
            except TimeoutError:
                self._popen.kill()
                await self.wait()
        self._pid_file.unlink(missing_ok=True)

    async def end_orphan(self, how: signal.Signals, *, patience: float = 15.0) -> None:
        """End the program that an earlier owner of the folder left running, if there is one."""
        if self.alive() or (pid := self._orphan()) is None:
            return
        for step in (how, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, step)
            deadline = time.monotonic() + patience
            while self._orphan() == pid and time.monotonic() < deadline:  # noqa: ASYNC110 - the same
                await asyncio.sleep(POLL_SECONDS)
        self._pid_file.unlink(missing_ok=True)

    def failed(self, what: str) -> NoReturn:
        """Raise `ServerFailed` with what the program said last."""
        raise ServerFailed(f"{what}; the end of {self.log}:\n{self.log_tail()}")

    def log_tail(self) -> str:
        """Return the end of the program's log."""
        with contextlib.suppress(FileNotFoundError), self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - _LOG_TAIL_BYTES))
            return log.read().decode(errors="replace").strip()
        return "(no log)"

    def _orphan(self) -> int | None:
        """Return the pid from the pid file if that very process (not a later one of the same number) runs."""
        import psutil  # noqa: PLC0415 - comes with the extra `embedded`

        try:
            pid, started = self._pid_file.read_text().split()
            process = psutil.Process(int(pid))
            same = abs(process.create_time() - float(started)) < _SAME_START_SECONDS
            running = process.status() != psutil.STATUS_ZOMBIE
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
            return None
        return int(pid) if same and running else None


@lru_cache(maxsize=8)
def stepping_down(account: Account | None, how: signal.Signals = signal.SIGTERM) -> tuple[str, ...]:
    """Return what to put before a command so that it runs as `account` and may still pass our folders.

    PostgreSQL refuses to be root, and a folder of root's (a home, a temporary one) keeps others out: setpriv
    of util-linux gives the account up except for the one capability that passes folders. Nothing where no
    account is named, or without setpriv.
    """
    program = shutil.which("setpriv")
    if account is None or program is None:
        return ()
    prefix = (
        *(program, "--reuid", str(account.uid), "--regid", str(account.gid), "--clear-groups"),
        *("--inh-caps", "+dac_override", "--ambient-caps", "+dac_override"),
        *("--securebits", "+no_setuid_fixup"),  # else access(2) forgets the capability
        *("--pdeathsig", how.name.removeprefix("SIG"), "--"),
    )
    tried = subprocess.run([*prefix, "true"], check=False, capture_output=True)  # noqa: S603 - as above
    return prefix if tried.returncode == 0 else ()


def _leash(how: signal.Signals) -> Callable[[], None] | None:
    """Return what the child does before it becomes the program: request a signal when its parent dies."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def hold() -> None:
        prctl(_SET_PARENT_DEATH_SIGNAL, int(how))
        if os.getppid() != parent:  # it died before the request was made
            os._exit(1)

    return hold


@contextlib.contextmanager
def owned(folder: Path, name: str) -> Iterator[None]:
    """Own `folder` for the server `name` while the block runs; the lock ends with our process."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(folder / f"{name}.lock", "a", opener=private_opener) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as busy:
            raise FolderInUse(f"{folder} is in use by another process (its {name} runs)") from busy
        yield


def free_port() -> int:
    """Return a TCP port of the loopback address that is free right now."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Return that many different ones: all are held until the last is found."""
    with contextlib.ExitStack() as held:
        listeners = [held.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [int(listener.getsockname()[1]) for listener in listeners]


def is_free(port: int) -> bool:
    """Return whether nothing listens on a port of the loopback address right now."""
    try:
        refuse_taken_port(port)
    except (ServerFailed, OverflowError):
        return False
    return True


def refuse_taken_port(port: int) -> None:
    """Raise `ServerFailed` when something already listens on the loopback port."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as taken:
            if taken.errno != errno.EADDRINUSE:
                raise
            raise ServerFailed(f"port {port} on 127.0.0.1 is taken by another program") from taken
