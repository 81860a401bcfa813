"""Days and moments that calls may name: far enough for any life, and near enough to be reckoned with."""

from datetime import UTC, date, datetime
from typing import Annotated, Final

from pydantic import AwareDatetime, Field

_FIRST: Final = date(1900, 1, 1)
_LAST: Final = date(2199, 12, 31)
_TOLD: Final = {"formatMinimum": _FIRST.isoformat(), "formatMaximum": _LAST.isoformat()}

Day = Annotated[date, Field(ge=_FIRST, le=_LAST, json_schema_extra={**_TOLD})]
"""A day; a deadline after it, or the night before it, is still a day."""

Moment = Annotated[
    AwareDatetime,
    Field(
        ge=datetime(_FIRST.year, 1, 1, tzinfo=UTC),
        lt=datetime(_LAST.year + 1, 1, 1, tzinfo=UTC),
        json_schema_extra={**_TOLD},
    ),
]
"""A moment, in whichever time zone."""
