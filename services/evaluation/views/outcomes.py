"""Outcomes of many children: shares with their uncertainty, without the groups that are too small; pure."""

from collections.abc import Iterable
from math import sqrt
from typing import Final

from msgspec import Struct
from pydantic import BaseModel

from services.evaluation.domain.states import Moment
from services.kernel.decider.small_groups import LEAST_SHOWN, ROUNDING, shown_count

_ROUNDED_AWAY: Final = ROUNDING // 2


class ShareView(BaseModel):
    """A count to the nearest five, its share of the measured, and the interval of the share.

    The exact share lies in the interval by 95 per cent, whichever way both counts were rounded.
    """

    count: int
    share: float
    low: float
    high: float


class DimensionView(BaseModel):
    """What became of the children on one dimension; null where too few stand behind it."""

    dimension: str
    suppressed: bool
    measured: int | None
    missing: int | None
    better: ShareView | None
    same: ShareView | None
    worse: ShareView | None


class OutcomesView(BaseModel):
    """What became of a municipality's children, by dimension of the model."""

    moment: Moment
    least_shown: int
    dimensions: list[DimensionView]


class Tally(Struct, frozen=True):
    """How many collaborations moved which way on a dimension, and of how many children in all and in each."""

    dimension: str
    better: int
    same: int
    worse: int
    missing: int
    children: int
    children_better: int
    children_same: int
    children_worse: int
    children_missing: int


def outcomes_view(moment: Moment, tallies: Iterable[Tally]) -> OutcomesView:
    """Return what may be shown of counts: nothing of a group so small that a child could be known."""
    return OutcomesView(
        moment=moment, least_shown=LEAST_SHOWN, dimensions=[_dimension(tally) for tally in tallies]
    )


def _dimension(tally: Tally) -> DimensionView:
    measured = shown_count(tally.better + tally.same + tally.worse, tally.children)
    return DimensionView(
        dimension=tally.dimension,
        suppressed=measured is None,
        measured=measured,
        missing=shown_count(tally.missing, tally.children_missing) if measured else None,
        better=_share(shown_count(tally.better, tally.children_better), measured),
        same=_share(shown_count(tally.same, tally.children_same), measured),
        worse=_share(shown_count(tally.worse, tally.children_worse), measured),
    )


def _share(count: int | None, measured: int | None) -> ShareView | None:
    """Return a share of two rounded counts, with an interval that allows for what was rounded away."""
    if count is None or measured is None:
        return None
    most = max(measured - _ROUNDED_AWAY, LEAST_SHOWN)
    low, _ = wilson(count - _ROUNDED_AWAY, measured + _ROUNDED_AWAY)
    _, high = wilson(min(count + _ROUNDED_AWAY, most), most)
    return ShareView(count=count, share=min(1.0, count / measured), low=low, high=high)


def wilson(count: int, of: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the 95 per cent interval of a share (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927, 209-212)."""
    share, weight = count / of, z * z / of
    middle = (share + weight / 2) / (1 + weight)
    reach = z * sqrt(share * (1 - share) / of + weight / (4 * of)) / (1 + weight)
    return max(0.0, middle - reach), min(1.0, middle + reach)
