"""Terminal output of commands: results, tables and errors, with their exit codes."""

import asyncio
import json
import re
import sys
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import asyncpg
import typer
import uvloop
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services.kernel.errors import ProblemError

T = TypeVar("T")

out: Final = Console()
err: Final = Console(stderr=True)

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_FRAME: Final = 3
"""How many columns stand beside each cell of a table: a line, and a space on either side."""
_AGE: Final = re.compile(r"([0-9]{1,6})([smhd])")


def run_to_end(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end; an error is printed with what to do, and exits with 3."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(work)
    except ProblemError as fault:
        hint = f" ({fault.detail})" if fault.detail else ""
        err.print(f"samspil: {fault.title()}{hint}", style="red", markup=False, highlight=False)
        raise typer.Exit(3) from None
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as fault:
        err.print(
            f"samspil: {type(fault).__name__}: does the server run? `samspil doctor` says more", style="red"
        )
        raise typer.Exit(3) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def time_of(text: str | None, option: str) -> datetime | None:
    """Return the time that an option names; without a zone it is UTC."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter("a time as in 2026-11-22T10:00:00+01:00", param_hint=option) from None


def age_of(text: str | None, option: str) -> timedelta | None:
    """Return the age that an option names, as in `90s`, `15m`, `2h` or `3d`."""
    if text is None:
        return None
    found = _AGE.fullmatch(text)
    if found is None:
        raise typer.BadParameter("an age as in 90s, 15m, 2h or 3d", param_hint=option)
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def show(value: Any, as_json: bool, lines: list[str]) -> None:  # noqa: FBT001  passed on from the option
    """Print a value as one line of JSON, or its lines for people."""
    if as_json:
        sys.stdout.write(json.dumps(value, default=str, ensure_ascii=False) + "\n")
    else:
        for line in lines:
            out.print(line, soft_wrap=True)


def show_rows(rows: list[dict[str, Any]], as_json: bool, nothing: str) -> None:  # noqa: FBT001  passed on
    """Print rows as JSON, or for people: as a table where it is wide enough, else each row as its pairs.

    Nothing is cut, and no value is broken: ids are there to be typed again.
    """
    if as_json or not rows:
        show(rows, as_json, [nothing])
        return
    cells = [{name: str(value) for name, value in row.items()} for row in rows]
    if _width(cells) > out.width:
        for row in cells:
            _print_pairs([f"{name}={value}" for name, value in row.items()])
        return
    table = Table(*cells[0])
    for row in cells:
        table.add_row(*map(escape, row.values()))
    out.print(table)


def _width(cells: list[dict[str, str]]) -> int:
    """Return how many columns of the terminal a table takes in which nothing is cut."""
    widest = (max(map(cell_len, (name, *(row[name] for row in cells)))) for name in cells[0])
    return 1 + sum(width + _FRAME for width in widest)


def _print_pairs(pairs: list[str]) -> None:
    """Print pairs on as few lines as hold them whole; a pair that no line holds stands alone."""
    lines = pairs[:1]
    for pair in pairs[1:]:
        longer = f"{lines[-1]} {pair}"
        if cell_len(longer) > out.width:
            lines.append(f"  {pair}")
        else:
            lines[-1] = longer
    for line in lines:
        out.print(line, soft_wrap=True, markup=False, highlight=False)
