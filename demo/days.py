"""The year, day by day: who sleeps until when, and what the lists show on the morning of a day.

Everybody who acts on a day has seen the lists as they stood when the day began and everything due was done.
So the same seed plays the same year, however fast the server is.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, TypeAlias

from msgspec import Struct

from demo.wire import Person, Unexpected, Wire

Want: TypeAlias = tuple[Person, str]
"""A list and its reader, by path."""

ONE_DAY: Final = timedelta(days=1)
_NOON: Final = time(10, 0, tzinfo=UTC)
_SATURDAY: Final = 5
_OFFICE: Final = frozenset({1, 4})
_DUTY: Final = frozenset({0, 2, 4})
_MOVE_SECONDS: Final = 600.0
_MOVES: Final = 20


class Sleeper(Struct, eq=False):
    """A story that waits for a day, and what it wants to see on its morning."""

    order: int
    wants: tuple[Want, ...]
    woken: asyncio.Future[list[Any]]


class Days:
    """Moves the clock, and wakes the stories whose day has come."""

    def __init__(self, wire: Wire, operator: Person, start: date) -> None:
        """Begin on a day that has not been played yet."""
        self.today = start
        self._wire = wire
        self._operator = operator
        self._sleepers: dict[date, list[Sleeper]] = defaultdict(list)
        self._awake = 0
        self._quiet = asyncio.Event()

    async def until(self, day: date, *wants: Want, order: int) -> list[Any]:
        """Sleep until a later day, and return what was wanted as it stood on that morning."""
        woken: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._sleepers[max(day, self.today + ONE_DAY)].append(Sleeper(order, wants, woken))
        self._rest()
        return await woken

    def began(self) -> None:
        """Count a story that is awake."""
        self._awake += 1

    def ended(self) -> None:
        """Count a story that will not wake again."""
        self._rest()

    def _rest(self) -> None:
        self._awake -= 1
        if self._awake <= 0:
            self._quiet.set()

    async def play(self, days: int, watch: Callable[[], None]) -> None:
        """Play a number of days to their ends; `watch` is called after each."""
        await self._till_quiet()
        for day in [self.today + n * ONE_DAY for n in range(1, days + 1)]:
            self.today = await move(self._wire, self._operator, day)
            due = [at for at in self._sleepers if at <= self.today]
            sleepers = [sleeper for at in due for sleeper in self._sleepers.pop(at)]
            sleepers.sort(key=lambda sleeper: sleeper.order)
            seen = await self._read({want: None for sleeper in sleepers for want in sleeper.wants})
            self._quiet.clear()
            self._awake += len(sleepers)
            for sleeper in sleepers:
                sleeper.woken.set_result([seen[want] for want in sleeper.wants])
            await self._till_quiet()
            watch()

    async def _till_quiet(self) -> None:
        if self._awake:
            await self._quiet.wait()

    async def _read(self, wants: dict[Want, None]) -> dict[Want, Any]:
        bodies = await asyncio.gather(*(self._wire.read(who, path) for who, path in wants))
        return dict(zip(wants, bodies, strict=True))

    def after(self, days: int) -> date:
        """Return the day that lies a number of working days ahead; for none, the next one."""
        day, left = self.today, max(days, 1)
        while left:
            day += ONE_DAY
            left -= day.weekday() < _SATURDAY
        return day

    def office(self, days: int) -> date:
        """Return the first day after a number of working days on which volunteers hold office."""
        return on_office(self.after(days))

    def duty(self, days: int) -> date:
        """Return the first day after a number of working days on which a department reads its lists."""
        return on_duty(self.after(days))


def on_office(day: date) -> date:
    """Return the day, or the first after it, on which volunteers hold office."""
    return _on(day, _OFFICE)


def on_duty(day: date) -> date:
    """Return the day, or the first after it, on which a department reads its lists."""
    return _on(day, _DUTY)


def _on(day: date, weekdays: frozenset[int]) -> date:
    while day.weekday() not in weekdays:
        day += ONE_DAY
    return day


async def read_clock(wire: Wire) -> tuple[datetime, date]:
    """Return the server's time, and the day before the first that can be played.

    Raises `Unexpected` where time stands by itself.
    """
    clock = await wire.read(None, "/development/clock")
    if not clock["virtual"]:
        raise Unexpected("this server runs by the machine's clock: start it with --clock virtual")
    now = datetime.fromisoformat(clock["now"])
    return now, now.date() if now.timetz() >= _NOON else now.date() - ONE_DAY


async def move(wire: Wire, operator: Person, day: date) -> date:
    """Move the clock to a day, until all that falls due is done, and return the day that it then is."""
    to = datetime.combine(day, _NOON)
    for _ in range(_MOVES):
        answer = await wire.post(operator, "/development/clock", {"to": to}, seconds=_MOVE_SECONDS)
        if answer.status != 200:  # noqa: PLR2004  HTTP's number
            raise Unexpected(f"{answer.status} {answer.slug}: the clock could not be moved")
        now = datetime.fromisoformat(answer.body["now"])
        if answer.body["settled"] and now >= to:
            return now.date()
    raise Unexpected(f"{day} did not settle")
