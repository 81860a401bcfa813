"""Field types of request bodies: days and moments within bounds in which dates can be calculated."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Final

from pydantic import AwareDatetime, BeforeValidator, Field

_FIRST: Final = date(1900, 1, 1)
_LAST: Final = date(2199, 12, 31)
_INVALID: Final = {"formatMinimum": _FIRST.isoformat(), "formatMaximum": _LAST.isoformat()}


def _checked_form(value: object) -> object:
    """Refuse a number where a day is meant: it would be read as seconds since 1970."""
    if not isinstance(value, str) or not re.match(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
        raise ValueError("write it as in 2026-02-28")
    return value


Day = Annotated[
    date, Field(ge=_FIRST, le=_LAST, json_schema_extra={**_INVALID}), BeforeValidator(_checked_form)
]
"""A day; a deadline after it, or the night before it, is still a day."""

Moment = Annotated[
    AwareDatetime,
    Field(
        ge=datetime(_FIRST.year, 1, 1, tzinfo=UTC),
        lt=datetime(_LAST.year + 1, 1, 1, tzinfo=UTC),
        json_schema_extra={**_INVALID},
    ),
    BeforeValidator(_checked_form),
]
"""A moment, in whichever time zone."""
