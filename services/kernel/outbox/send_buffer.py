"""Send buffer: committed events by log id, so that the relay need not read their bodies back."""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from services.kernel.kafka.cloudevents import OutgoingEvent

_CAPACITY: Final = 50_000

Committed = tuple[int, OutgoingEvent]
"""A log id and its event."""


class SendBuffer:
    """Bodies of events that this process has committed and not sent yet; the oldest leave a full buffer.

    What is missing here is read from the event log. The buffer holds for one leadership only: a database that
    replaces another gives the same log ids to other events.
    """

    def __init__(self, capacity: int = _CAPACITY) -> None:
        """Begin empty."""
        self._events: OrderedDict[int, OutgoingEvent] = OrderedDict()
        self._capacity = capacity

    def __len__(self) -> int:
        """Return how many events are held."""
        return len(self._events)

    def add(self, committed: Iterable[Committed]) -> None:
        """Add the events of one transaction."""
        events = self._events
        events.update(committed)
        while len(events) > self._capacity:
            events.popitem(last=False)

    def pop(self, log_id: int) -> OutgoingEvent | None:
        """Remove an event and return it; None where it is not held."""
        return self._events.pop(log_id, None)

    def clear(self) -> None:
        """Remove all events."""
        self._events.clear()
