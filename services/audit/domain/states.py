"""State of an audit trail: one trail for each stream of any service."""

from datetime import datetime

from msgspec import Struct


class Trail(Struct, frozen=True, tag="trail", tag_field="kind"):
    """The number of events kept of a stream, of all services together, and the time of the last one."""

    count: int
    last_at: datetime
