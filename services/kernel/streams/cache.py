"""Stream cache: the streams that this process saved last, so that the next event of one needs no reading.

A stale entry does no harm: a save is guarded by the version, and an input that meets a conflict is decided
again on what is read then. The exception is a database that went back in time, behind the cached marks: it is
met over new connections, and each of these clears the cache.
"""

from collections import OrderedDict
from collections.abc import Iterable

from services.kernel.ids import StreamKey
from services.kernel.streams.stream import StoredStream


class StreamCache:
    """The streams of one service that were saved last, serialized: few objects, whatever a state holds."""

    def __init__(self, capacity: int) -> None:
        """Keep at most so many streams."""
        self._capacity = capacity
        self._stored: OrderedDict[StreamKey, StoredStream] = OrderedDict()
        self.generation = 0
        """How often the cache was cleared."""

    def pop(self, keys: Iterable[StreamKey]) -> dict[StreamKey, StoredStream]:
        """Return the cached ones of these streams, and remove them."""
        cached = self._stored
        if not cached:
            return {}
        return {key: cached.pop(key) for key in keys if key in cached}

    def put(self, stored: Iterable[StoredStream], generation: int) -> None:
        """Cache streams that were just saved, unless the cache was cleared since they were read.

        A halted stream is not kept: an operator may release it in another process.
        """
        if generation != self.generation or not self._capacity:
            return
        cached = self._stored
        for one in stored:
            key = one.tenant, one.stream_id
            if one.halted:
                cached.pop(key, None)
            else:
                cached[key] = one
                cached.move_to_end(key)
        while len(cached) > self._capacity:
            cached.popitem(last=False)

    def clear(self) -> None:
        """Remove everything."""
        self.generation += 1
        self._stored.clear()
