"""Signals: wake the consumers of a topic when a relay of the same process has written to it.

Production has none: there the broker lets a fetch wait for data.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

TopicPartitionKey = tuple[str, int]
"""A topic and its partition."""


class TopicSignal:
    """Signal of one consumer: `raised` when its topics have more, `ends` up to which offsets they reach."""

    def __init__(self) -> None:
        """Begin lowered."""
        self.raised: Final = asyncio.Event()
        self.ends: Final[dict[TopicPartitionKey, int]] = {}


class Signals(Protocol):
    """What relays notify and consumers subscribe to."""

    def subscribe(self, topics: Iterable[str]) -> TopicSignal | None:
        """Return a signal for these topics; None where consumers must poll."""

    def unsubscribe(self, signal: TopicSignal) -> None:
        """Stop raising a signal."""

    def notify(self, topic: str, end_offsets: Mapping[int, int]) -> None:
        """Raise the signals of a topic, which has been written up to an offset in each partition."""


class NoSignals:
    """No signals: consumers poll."""

    def subscribe(self, _topics: Iterable[str]) -> TopicSignal | None:
        """Return no signal."""
        return None

    def unsubscribe(self, _signal: TopicSignal) -> None:
        """Do nothing."""

    def notify(self, _topic: str, _end_offsets: Mapping[int, int]) -> None:
        """Do nothing."""


NO_SIGNALS: Final[Signals] = NoSignals()


class TopicSignals:
    """Signals within one process, by topic."""

    def __init__(self) -> None:
        """Begin without subscribers."""
        self._by_topic: defaultdict[str, list[TopicSignal]] = defaultdict(list)

    def subscribe(self, topics: Iterable[str]) -> TopicSignal:
        """Return a signal that is raised whenever one of the topics has more."""
        signal = TopicSignal()
        for topic in topics:
            self._by_topic[topic].append(signal)
        return signal

    def unsubscribe(self, signal: TopicSignal) -> None:
        """Stop raising a signal."""
        for signals in self._by_topic.values():
            if signal in signals:
                signals.remove(signal)

    def notify(self, topic: str, end_offsets: Mapping[int, int]) -> None:
        """Raise the signals of a topic, which has been written up to an offset in each partition."""
        for signal in self._by_topic[topic]:
            signal.ends.update({(topic, partition): end for partition, end in end_offsets.items()})
            signal.raised.set()
