"""States of the portal: a case as pages list it, an account that signs in; ids, codes and dates only."""

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


class Account(Struct, frozen=True, tag="account", tag_field="kind"):
    """An account of the directory that has signed in here, and when it last did."""

    signed_in_at: datetime


State = Case | Account
