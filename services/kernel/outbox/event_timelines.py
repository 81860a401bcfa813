"""Timeline header: which timeline of the log an outgoing event was written in."""

from collections.abc import Sequence

from msgspec import structs

from services.kernel.kafka.cloudevents import OutgoingEvent
from services.kernel.postgres.timelines import TimelineStart


def with_timeline(event: OutgoingEvent, log_id: int, later: Sequence[TimelineStart]) -> OutgoingEvent:
    """Return an event with its timeline; an event of the first timeline has none."""
    for first_id, started_ms in later:
        if log_id > first_id:
            return structs.replace(event, timeline=started_ms)
    return event
