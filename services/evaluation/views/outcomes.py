"""Outcomes of many children: shares with their uncertainty, without the groups that are too small; pure."""

from collections.abc import Iterable
from math import sqrt
from typing import Final

from msgspec import Struct
from pydantic import BaseModel

from services.evaluation.domain.states import Moment

LEAST_SHOWN: Final = 5
"""How many children must stand behind a share before it is shown: with fewer a child could be known."""


class ShareView(BaseModel):
    """A count, its share of the measured, and the interval that the share lies in by 95 per cent."""

    count: int
    share: float
    low: float
    high: float


class DimensionView(BaseModel):
    """What became of the children on one dimension; without numbers where too few stand behind it."""

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
    """How many collaborations moved which way on a dimension, and how many children they are of."""

    dimension: str
    better: int
    same: int
    worse: int
    missing: int
    children: int


def outcomes_view(moment: Moment, tallies: Iterable[Tally]) -> OutcomesView:
    """Return what may be shown of counts: nothing of a group so small that a child could be known."""
    return OutcomesView(
        moment=moment, least_shown=LEAST_SHOWN, dimensions=[_dimension(tally) for tally in tallies]
    )


def _dimension(tally: Tally) -> DimensionView:
    if tally.children < LEAST_SHOWN:
        return DimensionView(
            dimension=tally.dimension,
            suppressed=True,
            measured=None,
            missing=None,
            better=None,
            same=None,
            worse=None,
        )
    measured = tally.better + tally.same + tally.worse
    better, same, worse = (_share(count, measured) for count in (tally.better, tally.same, tally.worse))
    return DimensionView(
        dimension=tally.dimension,
        suppressed=False,
        measured=measured,
        missing=tally.missing,
        better=better,
        same=same,
        worse=worse,
    )


def _share(count: int, measured: int) -> ShareView:
    low, high = wilson(count, measured)
    return ShareView(count=count, share=count / measured, low=low, high=high)


def wilson(count: int, of: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the 95 per cent interval of a share (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927, 209-212)."""
    share, weight = count / of, z * z / of
    middle = (share + weight / 2) / (1 + weight)
    reach = z * sqrt(share * (1 - share) / of + weight / (4 * of)) / (1 + weight)
    return max(0.0, middle - reach), min(1.0, middle + reach)
