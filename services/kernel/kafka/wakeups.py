"""Wake whoever hears a topic in the same process: the embedded broker lets no fetch wait for data."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

TopicPartitionKey = tuple[str, int]
"""A topic and its partition."""


class TopicSignal:
    """News of the topics that somebody hears: `rung` whenever there is more, `ends` is how far they reach."""

    def __init__(self) -> None:
        """Begin without news."""
        self.raised: Final = asyncio.Event()
        self.ends: Final[dict[TopicPartitionKey, int]] = {}


class TopicSignals:
    """Topics, and who waits for news of them."""

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        self._of: defaultdict[str, list[TopicSignal]] = defaultdict(list)

    def subscribe(self, topics: Iterable[str]) -> TopicSignal:
        """Return a bell that is rung whenever something was sent to one of the topics."""
        bell = TopicSignal()
        for topic in topics:
            self._of[topic].append(bell)
        return bell

    def unsubscribe(self, bell: TopicSignal) -> None:
        """Ring a bell no more."""
        for hung in self._of.values():
            if bell in hung:
                hung.remove(bell)

    def notify(self, topic: str, reached: Mapping[int, int]) -> None:
        """Tell all who hear a topic that the broker has more of it, up to a place in each partition."""
        for bell in self._of[topic]:
            bell.ends.update({(topic, partition): end for partition, end in reached.items()})
            bell.raised.set()


SIGNALS = TopicSignals()
"""Those of this process."""
