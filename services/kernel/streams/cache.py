"""Streams that this process has just saved, so that what is heard next of them needs no reading.

Nothing rests on this memory alone: a save is guarded by the version, and what was remembered wrongly is read
and decided again. Only a database that went back in time could be deceived, by marks that are ahead of its
own; it is met over new connections, and each of these makes everything forgotten.
"""

from collections import OrderedDict
from collections.abc import Iterable
from uuid import UUID

from services.kernel.streams.store import StoredStream


class StreamCache:
    """Keeps the last streams of one service as they were written: few objects, whatever a state holds."""

    def __init__(self, most: int) -> None:
        """Keep so many streams at most."""
        self._capacity = most
        self._stored: OrderedDict[UUID, StoredStream] = OrderedDict()
        self.generation = 0
        """How often everything was forgotten."""

    def pop(self, ids: Iterable[UUID]) -> dict[UUID, StoredStream]:
        """Return those that are remembered, and remember them no more."""
        found = self._stored
        if not found:
            return {}
        return {at: found.pop(at) for at in ids if at in found}

    def evict(self, ids: Iterable[UUID]) -> None:
        """Remember these no more."""
        for stream_id in ids:
            self._stored.pop(stream_id, None)

    def put(self, stored: Iterable[StoredStream], generation: int) -> None:
        """Remember streams as they were just saved, by a batch that began before anything was forgotten."""
        if generation != self.generation or not self._capacity:
            return
        kept = self._stored
        for one in stored:
            if not one.halted:
                kept[one.stream_id] = one
        while len(kept) > self._capacity:
            kept.popitem(last=False)

    def clear(self) -> None:
        """Remember nothing."""
        self.generation += 1
        self._stored.clear()
