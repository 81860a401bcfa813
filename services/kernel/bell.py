"""Wake whoever hears a topic in the same process: the embedded broker lets no fetch wait for data."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable


class Bells:
    """Topics, and who waits for news of them."""

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        self._of: defaultdict[str, list[asyncio.Event]] = defaultdict(list)

    def hang(self, topics: Iterable[str]) -> asyncio.Event:
        """Return an event that is set whenever something was sent to one of the topics."""
        bell = asyncio.Event()
        for topic in topics:
            self._of[topic].append(bell)
        return bell

    def take_down(self, bell: asyncio.Event) -> None:
        """Ring a bell no more."""
        for hung in self._of.values():
            if bell in hung:
                hung.remove(bell)

    def ring(self, topic: str) -> None:
        """Tell all who hear a topic that the broker has more of it."""
        for bell in self._of[topic]:
            bell.set()


BELLS = Bells()
"""Those of this process."""
