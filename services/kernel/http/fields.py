"""Field types of request bodies: ids that were given here, and days within bounds that can be calculated."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, Final, get_args
from uuid import UUID

from pydantic import AwareDatetime, BeforeValidator, Field, WithJsonSchema

_FIRST: Final = date(1900, 1, 1)
_LAST: Final = date(2199, 12, 31)
_YEARS: Final = {"pattern": "^(19|20|21)[0-9]{2}-"}
"""The bounds as JSON Schema can say them; days have no minimum there."""


def _checked_form(value: object) -> object:
    """Refuse a number where a day is meant: it would be read as seconds since 1970."""
    if not isinstance(value, str) or not re.match(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
        raise ValueError("write it as in 2026-02-28")
    return value


GIVEN: Final = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-7[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$"
"""A UUIDv7 as it is written (RFC 9562): the only form in which Samspil gives ids."""


def _given_form(value: object) -> object:
    """Refuse an id of another form than Samspil gives: one that a client has made up, or calculated."""
    if not re.fullmatch(GIVEN, str(value), re.ASCII):
        raise ValueError("ids are given by Samspil: leave it out, or name one that you were given")
    return value


GivenId = Annotated[UUID, Field(json_schema_extra={"pattern": GIVEN}), BeforeValidator(_given_form)]
"""An id that a client was given before; whether it was given to its municipality is a matter of the rules."""

Day = Annotated[
    date, Field(ge=_FIRST, le=_LAST, json_schema_extra={**_YEARS}), BeforeValidator(_checked_form)
]
"""A day; a deadline after it, or the night before it, is still a day."""

Moment = Annotated[
    AwareDatetime,
    Field(
        ge=datetime(_FIRST.year, 1, 1, tzinfo=UTC),
        lt=datetime(_LAST.year + 1, 1, 1, tzinfo=UTC),
        json_schema_extra={**_YEARS},
    ),
    BeforeValidator(_checked_form),
]
"""A moment, in whichever time zone."""


def one_of(*words: str) -> Any:
    """Return the mark of a text that is one of these words in the document."""
    return WithJsonSchema({"type": "string", "enum": list(words)})


def status_of_any(*states: Any) -> Any:
    """Return the mark of a text that names one of these states: structs, or unions of them."""
    kinds = [kind for state in states for kind in (get_args(state) or (state,))]
    return one_of(*dict.fromkeys(str(kind.__struct_config__.tag) for kind in kinds))
