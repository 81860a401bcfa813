"""`make tour`: a server with made-up people at sign-in, each with something waiting for them."""

import asyncio
import contextlib
import subprocess
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import typer
from rich.console import Console

from demo.server import serving
from demo.situations import SITUATIONS, play_all
from demo.wire import ServerAway, Unexpected, wire_to
from demo.world import TENANT, World

_HERE: Final = ZoneInfo("Europe/Copenhagen")
_STEPS: Final = (
    ("Maj Opdigt", "reads what she is asked, says yes, and may stop it again in two clicks"),
    ("Kim Påfund", "opens the referral on a phone, and answers it with one press"),
    ("Ida Eksempel", "opens the case that is waiting for its first meeting, and holds it"),
    ("Per Fortælling", "reads the agreement, and signs it for the family"),
    ("Runa Påhit", "is 16, and is asked besides her father"),
    ("Lars Eksempel", "sees the figures, each with its table"),
    ("Anne Eksempel", "invites a colleague; Rita Eksempel sees all of it in the trail"),
)


def main(
    data: Annotated[Path, typer.Option(help="Folder of the server, emptied first.")] = Path("build/tour"),
    port: Annotated[int, typer.Option(help="Port on this machine.")] = 8440,
) -> None:
    """Start a server, play the situations, say where to look, and serve until Ctrl-C."""
    console = Console()
    with serving(data, port=port, virtual=False) as (url, process):
        try:
            asyncio.run(people_of(url))
        except (ServerAway, Unexpected) as fault:
            console.print(f"{fault}; its log is {data / 'samspil.log'}", style="red")
            raise typer.Exit(3) from None
        for line in lines(url):
            console.print(line, soft_wrap=True)
        with contextlib.suppress(KeyboardInterrupt):
            wait_for(process)


async def people_of(url: str) -> None:
    """Let made-up people in, and play every situation on the day of the server's clock."""
    async with wire_to(url, TENANT, lambda _said: None) as wire:
        clock = await wire.read(None, "/development/clock")
        world = World(wire, f"{url}/development/oidc", day_of(clock["now"]))
        await play_all(world)


def day_of(moment: str) -> date:
    """Return the day here of a moment that the server said."""
    return datetime.fromisoformat(moment).astimezone(UTC).astimezone(_HERE).date()


def lines(url: str) -> list[str]:
    """Return what to look at, step by step."""
    steps = [f"  {number}. {who} {what}" for number, (who, what) in enumerate(_STEPS, 1)]
    return [
        f"{len(SITUATIONS)} situations wait at {url}: sign in as one of the made-up people.",
        *steps,
        "Everybody and everything here is made up. Stop with Ctrl-C.",
    ]


def wait_for(process: "subprocess.Popen[bytes]") -> None:
    """Wait until the server ends."""
    process.wait()


if __name__ == "__main__":
    typer.run(main)
