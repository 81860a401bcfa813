"""Circuit breaker: stop consuming when too large a share of events is parked."""

import time
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from services.kernel.errors import ProblemError
from services.kernel.streams.handler import BatchResult
from services.kernel.streams.parked import WAITING_ORDER

_SHARE: Final = 0.1


class TooManyParked(ProblemError):
    """So many events cannot be applied that the fault is ours: the consumer has stopped."""


class _Entry(NamedTuple):
    at: float
    parked: int
    total: int


class CircuitBreaker:
    """Counts poison events against all events: a bad deploy must not move a whole topic to the parking lot.

    Events that only wait for an earlier one are not poison. Batches are checked before they are stored, and
    recorded after it, so that a batch that is tried again counts once.
    """

    def __init__(
        self, limit: int, seconds: float, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Allow `limit` poison events in a row, and in `seconds`, or more where they are a small share."""
        self._limit = limit
        self._window = seconds
        self._monotonic = monotonic
        self._in_a_row = 0
        self._recorded: deque[_Entry] = deque()

    def check_result(self, result: BatchResult) -> None:
        """Raise `TooManyParked` where the poison of a decided batch is too much."""
        self._check(*self._weight(result))

    def check_unreadable(self, unreadable: int, total: int, readable: int) -> None:
        """Raise `TooManyParked` where the unreadable records of a batch are too many."""
        self._check(unreadable, total, self._row_after(unreadable, readable))

    def record_result(self, result: BatchResult) -> None:
        """Count a batch that was stored."""
        self._record(*self._weight(result))

    def record_unreadable(self, unreadable: int, readable: int) -> None:
        """Count unreadable records that were stored."""
        self._record(unreadable, unreadable, self._row_after(unreadable, readable))

    def _row_after(self, unreadable: int, readable: int) -> int:
        return self._in_a_row + (0 if readable else unreadable)

    def _weight(self, result: BatchResult) -> tuple[int, int, int]:
        """Return how many events are poison, how many there are, and how many were poison in a row."""
        poison = sum(at.reason not in WAITING_ORDER for at in result.parked)
        total = result.applied + result.duplicates + len(result.parked)
        return poison, total, 0 if result.applied else self._in_a_row + poison

    def _check(self, poison: int, total: int, in_a_row: int) -> None:
        if not poison:
            return
        since = self._monotonic() - self._window
        recent = [entry for entry in self._recorded if entry.at >= since]
        parked = poison + sum(entry.parked for entry in recent)
        events = total + sum(entry.total for entry in recent)
        if parked > self._limit and parked > _SHARE * events:
            raise TooManyParked(f"{parked} of the last {events} events; the limit is {self._limit}")
        if in_a_row > self._limit:
            raise TooManyParked(f"{in_a_row} one after the other; the limit is {self._limit}")

    def _record(self, poison: int, total: int, in_a_row: int) -> None:
        now = self._monotonic()
        while self._recorded and now - self._recorded[0].at > self._window:
            self._recorded.popleft()
        self._in_a_row = in_a_row
        self._recorded.append(_Entry(now, poison, total))
