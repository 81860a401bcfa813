"""Counts of poison by municipality and partition, over a sliding window and in a row; bounded in memory."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from msgspec import Struct

from services.kernel.streams.envelopes import IncomingEvent
from services.kernel.streams.handler import BatchResult
from services.kernel.streams.parked import FOREIGN_STREAM, HELD, WAITING_ORDER
from services.kernel.streams.stream import ParkedEvent

_SLOTS: Final = 6
_MOST_CELLS: Final = 10_000


class Cell(NamedTuple):
    """What is counted together: the events of one municipality in one partition."""

    tenant: str
    topic: str
    partition: int


class Count(Struct, frozen=True):
    """How many events are poison, how many there are, and how many of them could be applied."""

    poison: int = 0
    total: int = 0
    applied: int = 0

    def plus(self, other: "Count") -> "Count":
        """Return the sum of two counts."""
        return Count(self.poison + other.poison, self.total + other.total, self.applied + other.applied)


_NONE: Final = Count()

Counts = Mapping[Cell, Count]


def cell_of(event: IncomingEvent) -> Cell:
    """Return where an event is counted."""
    return Cell(event.tenant, event.topic, event.partition)


def counts_of(events: Sequence[IncomingEvent], result: BatchResult) -> Counts:
    """Return the counts of a decided batch; what is held says nothing and does not count."""
    total = Counter(map(cell_of, events))
    if not result.parked and not result.repeated:
        return {cell: Count(0, count, count) for cell, count in total.items()}
    poison: Counter[Cell] = Counter()
    waiting: Counter[Cell] = Counter(Cell(*at) for at in result.repeated)
    for one in result.parked:
        cell = Cell(one.tenant, one.topic, one.kafka_partition)
        if one.reason == HELD:
            total[cell] -= 1
        elif one.reason in WAITING_ORDER:
            waiting[cell] += 1
        else:
            poison[cell] += 1
    return {
        cell: Count(poison[cell], count, count - poison[cell] - waiting[cell])
        for cell, count in total.items()
    }


def counts_of_unreadable(parked: Iterable[ParkedEvent]) -> Counts:
    """Return the counts of records that could not be read; a stream of another municipality is no poison."""
    found = Counter(
        Cell(one.tenant, one.topic, one.kafka_partition) for one in parked if one.reason != FOREIGN_STREAM
    )
    return {cell: Count(count, count) for cell, count in found.items()}


def summed(first: Counts, second: Counts) -> Counts:
    """Return the sum of two counts."""
    return {
        cell: first.get(cell, _NONE).plus(second.get(cell, _NONE)) for cell in first.keys() | second.keys()
    }


class FailureCounts:
    """What was stored within a window, in slots of its sixth part, and how much was poison in a row."""

    def __init__(self, seconds: float, monotonic: Callable[[], float]) -> None:
        """Count over so many seconds."""
        self._seconds = seconds
        self._monotonic = monotonic
        self._slots: dict[float, dict[Cell, Count]] = {}
        self._rows: dict[Cell, int] = {}
        self._tenant_rows: dict[str, int] = {}

    def record(self, counts: Counts) -> None:
        """Count a batch that was stored."""
        width = self._seconds / _SLOTS
        now = self._monotonic() // width * width
        self._forget()
        slot = self._slots.setdefault(now, {})
        for cell, count in counts.items():
            at = cell if cell in slot or len(slot) < _MOST_CELLS else Cell(cell.tenant, "", 0)
            slot[at] = slot.get(at, _NONE).plus(count)
            if count.applied:
                self._rows.pop(cell, None)
            elif count.poison and (cell in self._rows or len(self._rows) < _MOST_CELLS):
                self._rows[cell] = self._rows.get(cell, 0) + count.poison
        self._tenant_rows = self.rows_with(counts)

    def recent(self, cell: Cell) -> Count:
        """Return what was recorded of one municipality in one partition."""
        self._forget()
        found = _NONE
        for slot in self._slots.values():
            found = found.plus(slot.get(cell, _NONE))
        return found

    def by_tenant(self, counts: Counts) -> dict[str, Count]:
        """Return what was recorded of each municipality, and what a batch adds to it."""
        self._forget()
        found: dict[str, Count] = defaultdict(Count)
        for part in (*self._slots.values(), counts):
            for cell, count in part.items():
                found[cell.tenant] = found[cell.tenant].plus(count)
        return found

    def row(self, cell: Cell) -> int:
        """Return how many events of one municipality in one partition failed since one could be applied."""
        return self._rows.get(cell, 0)

    def rows_with(self, counts: Counts) -> dict[str, int]:
        """Return how many events of each municipality will have failed since any could be applied."""
        if any(count.applied for count in counts.values()):
            return {}
        rows = Counter(self._tenant_rows)
        for cell, count in counts.items():
            if count.poison:
                rows[cell.tenant] += count.poison
        return dict(rows)

    def _forget(self) -> None:
        since = self._monotonic() - self._seconds
        self._slots = {at: slot for at, slot in self._slots.items() if at >= since}
