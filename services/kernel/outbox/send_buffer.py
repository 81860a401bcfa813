"""What this process has just committed, on its way out: what may be sent at once, and what must be read."""

from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from typing import Final

from services.kernel.kafka.cloudevents import OutgoingEvent

_REMEMBERED: Final = 50_000
_FRESH: Final = 1_000

Committed = tuple[int, OutgoingEvent]
"""A log id and its event."""


class SendBuffer:
    """Events by their log ids, transactions not yet sent, and how far each stream was sent.

    An event that goes on from what was sent of its stream can have nothing before it, whoever else writes; it
    needs no reading. All is known of one lead only, since `begin`: a database that takes this one's place may
    lack what was told, and gives its log ids to other events.
    """

    def __init__(self) -> None:
        """Know nothing."""
        self._events: OrderedDict[int, OutgoingEvent] = OrderedDict()
        self._fresh: deque[Sequence[int]] = deque(maxlen=_FRESH)
        self._sent: OrderedDict[str, int] = OrderedDict()

    def clear(self) -> None:
        """Know nothing again."""
        self._events.clear()
        self._fresh.clear()
        self._sent.clear()

    def add(self, committed: Sequence[Committed]) -> None:
        """Take what one transaction has committed, in its order."""
        events = self._events
        events.update(committed)
        while len(events) > _REMEMBERED:
            events.popitem(last=False)
        if committed:
            self._fresh.append([log_id for log_id, _ in committed])

    def pop(self, log_id: int) -> OutgoingEvent | None:
        """Return an event that is remembered, and remember it no more."""
        return self._events.pop(log_id, None)

    def take_next(self, most: int) -> list[list[Committed]]:
        """Return whole transactions that go on from what was sent of each stream, about so many events."""
        taken: list[list[Committed]] = []
        ahead: dict[str, int] = {}
        count = 0
        while self._fresh and count < most:
            ids = self._fresh.popleft()
            told = [one for log_id in ids if (one := self._events.get(log_id)) is not None]
            if len(told) == len(ids) and self._go_on(told, ahead):
                taken.append([(log_id, self._events.pop(log_id)) for log_id in ids])
                count += len(ids)
        return taken

    def _go_on(self, events: Iterable[OutgoingEvent], ahead: dict[str, int]) -> bool:
        """Return whether each event is the next of its stream, and add them to those that go `ahead`."""
        here: dict[str, int] = {}
        for told in events:
            key = told.key
            if told.seq != (here.get(key) or ahead.get(key) or self._sent.get(key, 0)) + 1:
                return False
            here[key] = told.seq
        ahead.update(here)
        return True

    def note(self, events: Iterable[OutgoingEvent]) -> None:
        """Learn that events were sent; what is sent again takes nothing back."""
        sent = self._sent
        for told in events:
            sent[told.key] = max(told.seq, sent.pop(told.key, 0))
        while len(sent) > _REMEMBERED:
            sent.popitem(last=False)
