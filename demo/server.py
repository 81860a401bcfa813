"""Server of a demo: `samspil up` in a process of its own, on a folder that is emptied first."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import typer

_START_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 60.0
_MARK: Final = ".samspil-demo"
"""The file that marks a folder as a demo's."""

_ENDING: Final = (signal.SIGTERM, signal.SIGHUP)
_BY_A_MOVED_CLOCK: Final = ("clock", "postgres", "mail")
"""Files of a server with a virtual clock: no real person is in it."""


@contextlib.contextmanager
def serving(data: Path, *, port: int, virtual: bool) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run a server on an empty folder while the block runs; yield its address and process."""
    _empty(data)
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "services.cli", "up", "--data", str(data), "--port", str(port)]
    clock = ["--clock", "virtual"] if virtual else []
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)  # a signal now would leave a server that nobody ends
    process = subprocess.Popen(  # noqa: S603  ourselves
        [*command, *clock],
        start_new_session=True,
        preexec_fn=_let_signals_in,  # noqa: PLW1509  one thread, and the mask alone is changed
    )
    try:
        _let_signals_in()
        _wait_for(url, process, data)
        yield url, process
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGTERM)
            process.wait(_STOP_SECONDS)


def _empty(data: Path) -> None:
    """Empty a demo's folder, or make one; raise `typer.BadParameter` where anything else lies in it."""
    try:
        if data.exists() and any(data.iterdir()) and not _is_made_up(data):
            raise typer.BadParameter(
                f"{data} holds something else than a demo, which would be deleted: name another folder",
                param_hint="--data",
            )
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(parents=True)
        (data / _MARK).touch()
    except OSError as fault:
        raise typer.BadParameter(
            f"{data}: {fault.strerror}: name another folder", param_hint="--data"
        ) from None


def _is_made_up(data: Path) -> bool:
    return (data / _MARK).is_file() or all((data / name).exists() for name in _BY_A_MOVED_CLOCK)


def _wait_for(url: str, process: subprocess.Popen[bytes], data: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"{url}/ready", timeout=5).close()  # noqa: S310  our own address
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
        else:
            return
    sys.stderr.write(f"samspil: the server did not start; its log is {data / 'samspil.log'}\n")
    raise typer.Exit(3)


def _let_signals_in() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
