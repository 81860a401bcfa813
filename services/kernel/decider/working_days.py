"""Working days of a country, the local day of a time, and the day some months later; pure."""

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

import holidays
from msgspec import Struct

from contracts.model import CollaborationModel

_MORNING: Final = time(6, 0)
_SATURDAY: Final = 5
_MONTHS_A_YEAR: Final = 12

Day = TypeVar("Day", date, datetime)


class Calendar(Struct, frozen=True):
    """Calendar of working days: a country's holidays, and further closed days as `MM-DD`."""

    country: str
    closed: tuple[str, ...]
    timezone: str

    def works_on(self, day: date) -> bool:
        """Return whether offices are open on a day."""
        return (
            day.weekday() < _SATURDAY
            and f"{day:%m-%d}" not in self.closed
            and day not in _holidays(self.country, day.year)
        )

    def after(self, day: date, days: int) -> date:
        """Return the day that lies a number of working days after another; negative goes back."""
        return _after(self, day, days)

    def today(self, now: datetime) -> date:
        """Return the local day of a time."""
        return _day(self.timezone, now)

    def morning(self, day: date) -> datetime:
        """Return the time, in UTC, at which a day's work falls due: six o'clock local time."""
        return _morning(self.timezone, day)


def calendar_of(model: CollaborationModel) -> Calendar:
    """Return the calendar of a collaboration model."""
    return Calendar(model.calendar.holidays, model.calendar.closed_days, model.calendar.timezone)


def months_after(day: Day, months: int) -> Day:
    """Return the same day some months later, or that month's last; of a moment the same time of that day."""
    year, month = divmod(day.year * _MONTHS_A_YEAR + day.month - 1 + months, _MONTHS_A_YEAR)
    return day.replace(year=year, month=month + 1, day=min(day.day, monthrange(year, month + 1)[1]))


@lru_cache(maxsize=4096)
def _after(calendar: Calendar, day: date, days: int) -> date:
    """Count working days; the decisions of one day share few results."""
    step = timedelta(days=1 if days >= 0 else -1)
    left = abs(days)
    while left:
        day += step
        left -= calendar.works_on(day)
    return day


@lru_cache(maxsize=64)
def _day(timezone: str, now: datetime) -> date:
    """Return the local day of a time; the inputs of a batch share few times."""
    return now.astimezone(ZoneInfo(timezone)).date()


@lru_cache(maxsize=4096)
def _morning(timezone: str, day: date) -> datetime:
    return datetime.combine(day, _MORNING, ZoneInfo(timezone)).astimezone(UTC)


@lru_cache(maxsize=256)
def _holidays(country: str, year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays(country.upper(), years=year))
