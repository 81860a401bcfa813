"""How much of what is heard cannot be taken: so much that the fault is ours, and hearing must end."""

import time
from collections import deque
from typing import Final

from services.kernel.errors import ProblemError
from services.kernel.streams.handler import BatchResult
from services.kernel.streams.parked import WAITING_ORDER

_SHARE: Final = 0.1


class TooManyParked(ProblemError):
    """So many events cannot be taken that the fault is ours: intake has stopped."""


class CircuitBreaker:
    """Counts poison against what is heard; a bad deploy must not empty a topic into the parking lot."""

    def __init__(self, limit: int, seconds: float) -> None:
        """Allow so many in so many seconds, or more where they are a small share; and so many in a row."""
        self._limit = limit
        self._window = seconds
        self._parked = 0
        self._seen: deque[tuple[float, int, int]] = deque()

    def check_result(self, result: BatchResult) -> None:
        """Raise `TooManyParked` where what a batch would park is too much."""
        self._check(*self._weight(result))

    def check_unreadable(self, unreadable: int, seen: int, heard: int) -> None:
        """Raise `TooManyParked` where what cannot even be read is too much."""
        self._check(unreadable, seen, self._after(unreadable, heard))

    def record_result(self, result: BatchResult) -> None:
        """Count what the database holds now; a batch that is tried again must not count again."""
        self._record(*self._weight(result))

    def record_unreadable(self, unreadable: int, heard: int) -> None:
        """Count what the database holds now in quarantine."""
        self._record(unreadable, unreadable, self._after(unreadable, heard))

    def _after(self, unreadable: int, heard: int) -> int:
        return self._parked + (0 if heard else unreadable)

    def _weight(self, result: BatchResult) -> tuple[int, int, int]:
        """Return of an outcome how much is poison, how much there is, and what then failed in a row."""
        poison = sum(at.reason not in WAITING_ORDER for at in result.parked)
        seen = result.applied + result.duplicates + len(result.parked)
        return poison, seen, 0 if result.applied else self._parked + poison

    def _check(self, poison: int, seen: int, in_vain: int) -> None:
        if not poison:
            return
        since = time.monotonic() - self._window
        recent = [entry for entry in self._seen if entry[0] >= since]
        parked = poison + sum(entry[1] for entry in recent)
        total = seen + sum(entry[2] for entry in recent)
        if parked > self._limit and parked > _SHARE * total:
            raise TooManyParked(f"{parked} of the last {total} events; the limit is {self._limit}")
        if in_vain > self._limit:
            raise TooManyParked(f"{in_vain} one after the other; the limit is {self._limit}")

    def _record(self, poison: int, seen: int, in_vain: int) -> None:
        now = time.monotonic()
        while self._seen and now - self._seen[0][0] > self._window:
            self._seen.popleft()
        self._parked = in_vain
        self._seen.append((now, poison, seen))
