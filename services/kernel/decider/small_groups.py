"""Figures of many people without the small groups: what may be shown of a count or a median; pure.

A count is rounded, so that neither the difference of two days nor what is left of a sum tells of one person.
"""

from collections.abc import Iterable
from typing import Final

LEAST_SHOWN: Final = 5
"""How many people must stand behind a number before it is shown: with fewer one could be recognised."""

ROUNDING: Final = 5
"""Counts are shown to the nearest multiple of this number."""


def shown_count(count: int, people: int) -> int | None:
    """Return a count as it may be shown; None where fewer than five are counted, or stand behind it."""
    if min(count, people) < LEAST_SHOWN:
        return None
    return (count + ROUNDING // 2) // ROUNDING * ROUNDING


def shown_counts(counts: Iterable[tuple[str, int, int]]) -> dict[str, int]:
    """Return counts by their name as far as they may be shown: what is not listed is fewer than five.

    Each comes as name, count, and how many people stand behind it.
    """
    found = {name: shown_count(count, people) for name, count, people in counts}
    return {name: count for name, count in found.items() if count is not None}


def shown_days(median: float | None, people: int) -> int | None:
    """Return a median in whole days; None where fewer than five people stand behind it."""
    return None if median is None or people < LEAST_SHOWN else round(median)
