"""What is shown while the year is played: the day, where the cases stand, and how fast it goes."""

import time
from collections import Counter
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from demo.casefile import World

_EVERY: Final = 30
_SHOWN: Final = 6


class Showing:
    """Shows on a terminal a bar, and elsewhere a line a month."""

    def __init__(self, console: Console, world: World, days: int) -> None:
        """Show the days of a world."""
        self._console = console
        self._world = world
        self._began = time.monotonic()
        self._days = 0
        self._progress = Progress(
            TextColumn("{task.fields[day]}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[pace]}  {task.fields[stages]}"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=days, day=str(world.days.today), pace="", stages="")

    def __enter__(self) -> Self:
        """Begin to show."""
        self._progress.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _fault: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Leave the last picture standing."""
        self._progress.stop()

    def day_ended(self) -> None:
        """Show that a day was played."""
        self._days += 1
        world = self._world
        stages = Counter(book.stage for book in world.ledger.books)
        shown = ", ".join(f"{count} {stage}" for stage, count in stages.most_common(_SHOWN))
        pace = f"{world.ledger.commands / (time.monotonic() - self._began):.0f} commands/s"
        self._progress.update(
            self._task, completed=self._days, day=str(world.days.today), pace=pace, stages=shown
        )
        if not self._console.is_terminal and self._days % _EVERY == 0:
            self._console.print(f"{world.days.today}  {pace}  {shown}", highlight=False, soft_wrap=True)
