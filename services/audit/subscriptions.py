"""Subscriptions of the audit service: every event of every service."""

from typing import Final

from contracts.event import Event, Ticked
from contracts.registry import EVENTS

SUBSCRIBES_TO: Final[tuple[type[Event], ...]] = tuple(
    # The body of a reading or a refusal says which case it concerns and what was wanted of it. Of all others
    # the actor, the time, the type and the case are kept, and the sequence, so that a missing event shows.
    event
    for event in EVENTS.values()
    # A watermark has no actor, and no sequence in a stream.
    if not issubclass(event, Ticked)
)
