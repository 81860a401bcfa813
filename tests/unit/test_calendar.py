"""Working days of a country, and the local day of a moment."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.decider.working_days import Calendar

DENMARK = Calendar(country="dk", closed=("06-05", "12-24", "12-31"), timezone="Europe/Copenhagen")
NORWAY = Calendar(country="no", closed=(), timezone="Europe/Oslo")
DAYS = st.dates(date(2020, 1, 1), date(2040, 12, 31))


@pytest.mark.parametrize(
    ("day", "works"),
    [
        (date(2026, 3, 2), True),  # a Monday
        (date(2026, 3, 7), False),  # a Saturday
        (date(2026, 3, 8), False),  # a Sunday
        (date(2026, 4, 2), False),  # Maundy Thursday
        (date(2026, 4, 6), False),  # Easter Monday
        (date(2026, 5, 14), False),  # Ascension Day
        (date(2026, 5, 17), False),  # a Sunday in Denmark
        (date(2026, 6, 5), False),  # closed by the municipality
        (date(2026, 12, 24), False),  # closed by the municipality
        (date(2026, 12, 23), True),
    ],
)
def test_offices_in_denmark_are_closed_on_holidays(day: date, *, works: bool) -> None:
    """Weekends, the country's holidays and the municipality's own closed days are free."""
    assert DENMARK.works_on(day) is works


def test_the_great_prayer_day_is_worked_since_2024() -> None:
    """A law took the holiday away: the calendar knows it by the year."""
    assert not DENMARK.works_on(date(2023, 5, 5))
    assert DENMARK.works_on(date(2024, 4, 26))


def test_norway_has_its_own_holidays() -> None:
    """Constitution Day is free in Norway and worked in Denmark."""
    assert not NORWAY.works_on(date(2027, 5, 17))
    assert NORWAY.works_on(date(2026, 6, 5))


@pytest.mark.parametrize(
    ("day", "days", "found"),
    [
        (date(2026, 3, 2), 0, date(2026, 3, 2)),
        (date(2026, 3, 2), 7, date(2026, 3, 11)),
        (date(2026, 3, 6), 1, date(2026, 3, 9)),  # over a weekend
        (date(2026, 4, 1), 1, date(2026, 4, 7)),  # over Easter
        (date(2026, 12, 30), 1, date(2027, 1, 4)),  # over New Year, which is a Friday
        (date(2026, 3, 9), -1, date(2026, 3, 6)),
        (date(2026, 4, 7), -1, date(2026, 4, 1)),
    ],
)
def test_working_days_are_counted(day: date, days: int, found: date) -> None:
    """Deadlines run in working days, forward and back."""
    assert DENMARK.after(day, days) == found


@given(day=DAYS, days=st.integers(1, 40))
def test_a_deadline_lies_on_a_working_day_and_so_many_of_them_away(day: date, days: int) -> None:
    """From the day after the beginning until the deadline there are exactly so many working days."""
    due = DENMARK.after(day, days)
    between = [day + timedelta(days=n) for n in range(1, (due - day).days + 1)]

    assert DENMARK.works_on(due)
    assert sum(map(DENMARK.works_on, between)) == days


@given(day=DAYS, days=st.integers(-40, 40))
def test_further_is_never_earlier(day: date, days: int) -> None:
    """One working day more moves a deadline on."""
    if days not in (-1, 0):
        assert DENMARK.after(day, days) < DENMARK.after(day, days + 1)


def test_the_day_is_that_of_the_place() -> None:
    """Shortly before midnight in London it is tomorrow in Copenhagen."""
    assert DENMARK.today(datetime(2026, 3, 1, 23, 30, tzinfo=UTC)) == date(2026, 3, 2)
    assert DENMARK.today(datetime(2026, 7, 1, 21, 59, tzinfo=UTC)) == date(2026, 7, 1)
    assert DENMARK.today(datetime(2026, 7, 1, 22, 0, tzinfo=UTC)) == date(2026, 7, 2)


@pytest.mark.parametrize(
    ("day", "hour"),
    [(date(2026, 1, 5), 5), (date(2026, 3, 28), 5), (date(2026, 3, 30), 4), (date(2026, 7, 1), 4)],
)
def test_a_morning_is_six_o_clock_whatever_the_season(day: date, hour: int) -> None:
    """Work falls due at six in the morning local time, in winter and in summer."""
    assert DENMARK.morning(day) == datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
