"""State of a case as pages list it: ids, codes and dates, never a text about a person."""

from datetime import datetime

from msgspec import Struct


class Case(Struct, frozen=True, tag="case", tag_field="kind"):
    """A case, and when something last changed in it."""

    changed_at: datetime
