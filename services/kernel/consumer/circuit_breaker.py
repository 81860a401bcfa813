"""Circuit breaker: set apart the municipality whose events fail, and stop where the fault is ours."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from services.kernel.consumer.failure_counts import Cell, Count, FailureCounts
from services.kernel.errors import ProblemError

_SHARE: Final = 0.1
NOBODY: Final = ""
"""Tenant of records that name none: they are no municipality's fault."""


class TooManyParked(ProblemError):
    """So many events cannot be applied that the fault is ours: the consumer has stopped."""


class MustHold(Exception):
    """The breaker of some municipalities has opened: decide the batch again, and hold their events."""


class MustReadTenants(Exception):
    """An event is poison and one municipality is known: read whether there are more, and decide again."""


class CircuitBreaker:
    """Counts poison events against all events, by municipality and partition.

    Where one municipality's events fail in a partition, its further events of that partition are held for a
    while: parked undecided, each in its stream. Where the events of most municipalities fail, or the only
    one's, the fault is ours: a bad deploy must not move a whole topic to the parking lot.
    Events that only wait for an earlier one are not poison. Batches are checked before they are stored, and
    recorded after it, so that a batch that is tried again counts once.
    """

    def __init__(
        self, limit: int, seconds: float, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Allow `limit` poison events in a row, and in `seconds`, or more where they are a small share."""
        self._limit = limit
        self._seconds = seconds
        self._monotonic = monotonic
        self._counts = FailureCounts(seconds, monotonic)
        self._open: dict[Cell, float] = {}
        self._known: set[str] = set()

    @property
    def has_several(self) -> bool:
        """Whether more than one municipality is known."""
        return len(self._known) > 1

    def must_read_tenants(self, counts: Mapping[Cell, Count]) -> bool:
        """Return whether it matters for a batch if there are more municipalities than are known."""
        return not self.has_several and any(count.poison for count in counts.values())

    def know(self, tenants: Iterable[str | None]) -> None:
        """Note municipalities of this installation; two are enough."""
        if len(self._known) < 2:  # noqa: PLR2004  one, or several
            self._known.update(tenant for tenant in tenants if tenant)

    def held(self) -> frozenset[Cell]:
        """Return where events are held now."""
        if not self._open:
            return frozenset()
        now = self._monotonic()
        self._open = {cell: until for cell, until in self._open.items() if until > now}
        return frozenset(self._open)

    def check(self, counts: Mapping[Cell, Count]) -> set[Cell]:
        """Return the cells that a batch has opened; raise `TooManyParked` where the fault is ours."""
        if not any(count.poison for count in counts.values()):
            return set()
        self.know(cell.tenant for cell in counts)
        self._check_all(counts)
        if not self.has_several:
            return set()
        opened = {cell for cell, count in counts.items() if count.poison and self._fails(cell, count)}
        opened -= self._open.keys()
        for cell in opened:
            self._open[cell] = self._monotonic() + self._seconds
        return opened

    def record(self, counts: Mapping[Cell, Count]) -> None:
        """Count a batch that was stored."""
        self.know(cell.tenant for cell in counts)
        self._counts.record(counts)

    def _fails(self, cell: Cell, count: Count) -> bool:
        """Return whether a municipality's events of one partition fail too often; nobody's are not held."""
        if cell.tenant == NOBODY:
            return False
        recent = self._counts.recent(cell).plus(count)
        row = self._counts.row(cell) + count.poison
        too_often = recent.poison > self._limit and recent.poison > _SHARE * recent.total
        return too_often or (not count.applied and row > self._limit)

    def _check_all(self, counts: Mapping[Cell, Count]) -> None:
        """Raise `TooManyParked` where most municipalities fail, or what nobody has sent."""
        tenants = self._counts.by_tenant(counts)
        events = sum(count.total for count in tenants.values())
        poison = {tenant: count.poison for tenant, count in tenants.items()}
        parked = sum(poison.values())
        nobody = poison.pop(NOBODY, 0)
        too_many = nobody > self._limit or (
            self._weight(poison) + nobody > self._limit and self._most_fail(tenants)
        )
        if too_many and parked > _SHARE * events:
            raise TooManyParked(f"{parked} of the last {events} events; the limit is {self._limit}")
        rows = self._counts.rows_with(counts)
        nobody = rows.get(NOBODY, 0)
        if nobody > self._limit or (
            rows and self._weight(rows) + nobody > self._limit and self._most_fail(tenants, rows)
        ):
            raise TooManyParked(f"{sum(rows.values())} one after the other; the limit is {self._limit}")

    def _weight(self, poison: Mapping[str, int]) -> int:
        """Return how much poison counts: of several municipalities none counts for more than half the limit.

        One whose events are held has filled its half.
        """
        named = {tenant: count for tenant, count in poison.items() if tenant != NOBODY}
        if not self.has_several:
            return sum(named.values())
        half = self._limit // 2 + 1
        for cell in self.held():
            named[cell.tenant] = half
        return sum(min(count, half) for count in named.values())

    def _most_fail(self, tenants: Mapping[str, Count], also: Iterable[str] = ()) -> bool:
        """Return whether more municipalities fail than do well; one of several alone is no majority."""
        failing = {cell.tenant for cell in self.held()} | {*also} - {NOBODY}
        well = 0
        for tenant, count in tenants.items():
            if tenant == NOBODY:
                continue
            if count.poison > _SHARE * count.total:
                failing.add(tenant)
            elif count.applied and tenant not in failing:
                well += 1
        return len(failing) > well and (len(failing) > 1 or not self.has_several)
