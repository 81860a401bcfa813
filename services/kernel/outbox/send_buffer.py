"""Send buffer between the processor and the relay: committed events by log id, and the relay's wake-up."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from services.kernel.kafka.cloudevents import OutgoingEvent

_CAPACITY: Final = 50_000

Committed = tuple[int, OutgoingEvent]
"""A log id and its event."""


class SendBuffer:
    """Bodies of events that this process has committed and not sent yet; the oldest leave a full buffer.

    What is missing here is read from the event log. The buffer holds for one leadership only: a database that
    replaces another gives the same log ids to other events, and a relay that does not lead sends nothing.
    """

    def __init__(self, capacity: int = _CAPACITY) -> None:
        """Begin empty and closed."""
        self.wakeup = asyncio.Event()
        self._open = False
        self._events: OrderedDict[int, OutgoingEvent] = OrderedDict()
        self._capacity = capacity

    def __len__(self) -> int:
        """Return how many events are held."""
        return len(self._events)

    def enqueue(self, committed: Sequence[Committed]) -> None:
        """Hold the events of one transaction that was committed just now, if open, and wake the relay."""
        if self._open:
            events = self._events
            events.update(committed)
            while len(events) > self._capacity:
                events.popitem(last=False)
        self.wakeup.set()

    def open(self) -> None:
        """Hold what is committed from now on: the relay leads."""
        self._open = True

    def pop(self, log_id: int) -> OutgoingEvent | None:
        """Remove an event and return it; None where it is not held."""
        return self._events.pop(log_id, None)

    def close(self) -> None:
        """Remove all events and hold none: the relay does not lead."""
        self._open = False
        self._events.clear()
