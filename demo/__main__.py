"""`make demo`: a server of its own on a fresh folder, and a year of Kerteminde played against it."""

import asyncio
import contextlib
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console

from demo.play import play
from demo.report import Report
from demo.report_lines import where_next
from demo.server import serving
from demo.tour import lines as tour
from demo.tour import people_of
from demo.wire import ServerAway, Unexpected
from services.kernel.embedded.child_process import free_port


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
    with serving(data, port=free_port(), virtual=True) as (url, process):
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                report: Report = runner.run(play(url, cases=cases, seed=seed, console=console))
        except (ServerAway, Unexpected) as fault:
            console.print(f"{fault}; its log is {data / 'samspil.log'}", style="red")
            raise typer.Exit(3) from None
        for line in report.lines():
            console.print(line, soft_wrap=True)
        if keep:
            asyncio.run(people_of(url))
            for line in (*where_next(url, cases, seed, data), *tour(url)):
                console.print(line, soft_wrap=True)
            console.print(f"The server runs at {url} until Ctrl-C.", soft_wrap=True)
            with contextlib.suppress(KeyboardInterrupt):
                process.wait()
    console.print(f"The server has stopped; its log, data and mails are in {data}.", soft_wrap=True)
    if not report.holds:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
