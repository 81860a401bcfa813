"""What is planned for which day of a collaboration: done in order, as far as it goes on."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from itertools import count
from typing import Any, TypeAlias

from msgspec import Struct

from demo.casefile import CaseFile
from demo.days import Want

Lists: TypeAlias = Mapping[Want, Any]
Action: TypeAlias = Callable[[Lists], Awaitable[None]]


class Entry(Struct, frozen=True, eq=False):
    """Something to be done on a day, after reading some lists; `tag` names what it is about."""

    day: date
    serial: int
    action: Action
    wants: tuple[Want, ...]
    tag: str


class Agenda:
    """One case's agenda."""

    def __init__(self) -> None:
        """Begin with nothing planned."""
        self.over = False
        self._entries: list[Entry] = []
        self._serials = count()

    def put(self, day: date, action: Action, *wants: Want, tag: str = "") -> None:
        """Plan something for a day; what comes too late is done on the next."""
        self._entries.append(Entry(day, next(self._serials), action, wants, tag))

    def drop(self, tag: str) -> None:
        """Take back what was planned about something."""
        self._entries = [entry for entry in self._entries if entry.tag != tag]

    async def play(self, case: CaseFile) -> None:
        """Do what is planned, day by day, until it is over or nothing is left."""
        while self._entries and not self.over:
            day = min(entry.day for entry in self._entries)
            due = [entry for entry in self._entries if entry.day <= max(day, case.days.today)]
            wants = tuple(dict.fromkeys(want for entry in due for want in entry.wants))
            seen = await case.until(day, *wants)
            lists = dict(zip(wants, seen, strict=True))
            for entry in sorted(due, key=lambda entry: (entry.day, entry.serial)):
                if not self.over and entry in self._entries:
                    self._entries.remove(entry)
                    await entry.action(lists)
