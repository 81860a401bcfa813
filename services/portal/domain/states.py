"""State of a case as pages list it: ids, codes and dates, never a text about a person."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct


class Entry(Struct, frozen=True, order=True, array_like=True):
    """One thing that happened in a case; `about` is the referral, agreement or evaluation of it."""

    at: datetime
    type: str
    role: str
    about: str = ""


class Case(Struct, frozen=True, tag="case", tag_field="kind"):
    """A case: whose it is, and what has happened in it, the earliest first."""

    department_id: UUID | None = None
    caseworker_id: UUID | None = None
    entries: tuple[Entry, ...] = ()
    closed: bool = False
