"""Bounds of days and moments in requests: they hold a life, and what is reckoned from them stays a day."""

from datetime import UTC, date, datetime

import pytest
from pydantic import TypeAdapter, ValidationError

from services.kernel.embedded.development_api import Move
from services.kernel.http.fields import Day, Moment

DAY: TypeAdapter[date] = TypeAdapter(Day)
MOMENT: TypeAdapter[datetime] = TypeAdapter(Moment)


@pytest.mark.parametrize("day", ["1900-01-01", "2026-02-28", "2199-12-31"])
def test_a_day_of_a_life_is_taken(day: str) -> None:
    """From the oldest living to the end of the longest promise."""
    assert DAY.validate_python(day).isoformat() == day


@pytest.mark.parametrize("day", ["0001-01-01", "1899-12-31", "2200-01-01", "9999-12-31"])
def test_a_day_beyond_all_lives_is_refused(day: str) -> None:
    """Nothing can be reckoned from it."""
    with pytest.raises(ValidationError):
        DAY.validate_python(day)


def test_a_moment_is_taken_in_any_time_zone() -> None:
    """The bounds are those of UTC, so that every moment within them has a form in UTC."""
    taken = MOMENT.validate_python("1900-01-01T02:00:00+02:00")

    assert taken.astimezone(UTC) == datetime(1900, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2199-12-31T23:00:00-02:00"]
)
def test_a_moment_that_utc_does_not_have_is_refused(moment: str) -> None:
    """It would be a bug in the database, and is a wrong field."""
    with pytest.raises(ValidationError):
        MOMENT.validate_python(moment)


@pytest.mark.parametrize("to", [1_800_000_000, "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"])
def test_a_clock_is_not_moved_where_nothing_can_be_reckoned(to: object) -> None:
    """It could never be moved back."""
    with pytest.raises(ValidationError):
        Move.model_validate({"to": to})
