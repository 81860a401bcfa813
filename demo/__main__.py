"""`make demo`: a server of its own on a fresh folder, and a year of Kerteminde played against it."""

import asyncio
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
from typing import Annotated, Final

import typer
import uvloop
from rich.console import Console

from demo.play import play
from demo.report import Report
from demo.report_lines import where_next
from demo.wire import ServerAway, Unexpected
from services.kernel.embedded.child_process import free_port

_START_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 60.0
_MARK: Final = ".samspil-demo"
"""The file that marks a folder as a demo's."""

_BY_A_MOVED_CLOCK: Final = ("clock", "postgres", "mail")
"""Files of a server with a virtual clock: no real person is in it."""


def main(
    cases: Annotated[int, typer.Option(min=1, max=100_000, help="How many children.")] = 300,
    seed: Annotated[int, typer.Option(help="The same seed plays the same year.")] = 1,
    data: Annotated[Path, typer.Option(help="Folder of the demo's server, emptied first.")] = Path(
        "build/demo"
    ),
    keep: Annotated[bool, typer.Option("--keep", help="Leave the server running afterwards.")] = False,
) -> None:
    """Start a server, play, show the report, stop the server."""
    console = Console()
    for number in (signal.SIGTERM, signal.SIGHUP):  # the server has a session of its own: stop it first
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))
    with _server(data) as (url, process):
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                report: Report = runner.run(play(url, cases=cases, seed=seed, console=console))
        except (ServerAway, Unexpected) as fault:
            console.print(f"{fault}; its log is {data / 'samspil.log'}", style="red")
            raise typer.Exit(3) from None
        for line in report.lines():
            console.print(line, soft_wrap=True)
        if keep:
            for line in where_next(url, cases, seed, data):
                console.print(line, soft_wrap=True)
            console.print(f"The server runs at {url} until Ctrl-C.", soft_wrap=True)
            with contextlib.suppress(KeyboardInterrupt):
                process.wait()
    console.print(f"The server has stopped; its log, data and mails are in {data}.", soft_wrap=True)
    if not report.holds:
        raise typer.Exit(1)


@contextlib.contextmanager
def _server(data: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run a server on an empty folder while the block runs; yield its address and process."""
    _empty(data)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "services.cli", "up", "--data", str(data), "--port", str(port)]
    process = subprocess.Popen([*command, "--clock", "virtual"], start_new_session=True)  # noqa: S603  ourselves
    try:
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


if __name__ == "__main__":
    typer.run(main)
