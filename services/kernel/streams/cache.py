"""Streams that this process has just saved, so that what is heard next of them needs no reading.

Nothing rests on this memory alone: a save is guarded by the version, and what was remembered wrongly is read
and decided again. Only a database that went back in time could be deceived, by marks that are ahead of its
own; it is met over new connections, and each of these makes everything forgotten.
"""

from collections import OrderedDict
from collections.abc import Iterable
from uuid import UUID

from services.kernel.streams.store import Written


class Recent:
    """Keeps the last streams of one service as they were written: few objects, whatever a state holds."""

    def __init__(self, most: int) -> None:
        """Keep so many streams at most."""
        self._most = most
        self._written: OrderedDict[UUID, Written] = OrderedDict()
        self.began = 0
        """How often everything was forgotten."""

    def take(self, ids: Iterable[UUID]) -> dict[UUID, Written]:
        """Return those that are remembered, and remember them no more."""
        found = self._written
        if not found:
            return {}
        return {at: found.pop(at) for at in ids if at in found}

    def drop(self, ids: Iterable[UUID]) -> None:
        """Remember these no more."""
        for stream_id in ids:
            self._written.pop(stream_id, None)

    def keep(self, written: Iterable[Written], began: int) -> None:
        """Remember streams as they were just saved, by a batch that began before anything was forgotten."""
        if began != self.began or not self._most:
            return
        kept = self._written
        for one in written:
            if not one.parked:
                kept[one.stream_id] = one
        while len(kept) > self._most:
            kept.popitem(last=False)

    def forget(self) -> None:
        """Remember nothing."""
        self.began += 1
        self._written.clear()
