"""How a child has moved between two measurements, and what many children together show; pure."""

from collections.abc import Iterable, Mapping
from math import sqrt
from typing import Final

from msgspec import Struct

from contracts.model import CollaborationModel
from contracts.model_parts import Dimension
from services.evaluation.domain_commands import DimensionUnknown, ScoreMissing, ScoreOffScale
from services.evaluation.domain_states import Change

LEAST_SHOWN: Final = 5
"""How many children must stand behind a share before it is told: with fewer a child could be known."""

_ROUNDING: Final = 1e-9


def check_scores(scores: Mapping[str, float], model: CollaborationModel) -> None:
    """Raise the refusal that names what is wrong with a measurement."""
    if not scores:
        raise ScoreMissing
    scales = {dimension.code: dimension for dimension in model.dimensions}
    for code, score in scores.items():
        scale = scales.get(code)
        if scale is None:
            raise DimensionUnknown(code)
        if not scale.lowest <= score <= scale.highest:
            raise ScoreOffScale(f"{code}: {scale.lowest} to {scale.highest}")


def changes(
    first: Mapping[str, float], last: Mapping[str, float], model: CollaborationModel
) -> dict[str, Change]:
    """Return how each dimension has moved by the model's threshold; what is not known twice is missing."""
    return {dimension.code: _change(dimension, first, last) for dimension in model.dimensions}


def _change(dimension: Dimension, first: Mapping[str, float], last: Mapping[str, float]) -> Change:
    if dimension.code not in first or dimension.code not in last:
        return "missing"
    move = last[dimension.code] - first[dimension.code]
    if abs(move) < dimension.threshold - _ROUNDING:
        return "same"
    return "better" if move > 0 else "worse"


class Share(Struct, frozen=True):
    """A share of the measured children, with the interval that it lies in by 95 per cent."""

    count: int
    share: float
    low: float
    high: float


class DimensionOutcome(Struct, frozen=True):
    """What became of the children on one dimension; only the dimension where too few stand behind it."""

    dimension: str
    suppressed: bool
    measured: int | None = None
    missing: int | None = None
    better: Share | None = None
    same: Share | None = None
    worse: Share | None = None


class Tally(Struct, frozen=True):
    """How many collaborations moved which way on a dimension, and how many children they are of."""

    dimension: str
    better: int
    same: int
    worse: int
    missing: int
    children: int


def told(tallies: Iterable[Tally]) -> list[DimensionOutcome]:
    """Return what may be told of counts: nothing of a group so small that a child could be known."""
    return [_told(tally) for tally in tallies]


def _told(tally: Tally) -> DimensionOutcome:
    if tally.children < LEAST_SHOWN:
        return DimensionOutcome(tally.dimension, suppressed=True)
    measured = tally.better + tally.same + tally.worse
    better, same, worse = (
        Share(count, count / measured, *wilson(count, measured))
        for count in (tally.better, tally.same, tally.worse)
    )
    return DimensionOutcome(
        tally.dimension,
        suppressed=False,
        measured=measured,
        missing=tally.missing,
        better=better,
        same=same,
        worse=worse,
    )


def wilson(count: int, of: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the 95 per cent interval of a share (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927, 209-212)."""
    share, weight = count / of, z * z / of
    middle = (share + weight / 2) / (1 + weight)
    reach = z * sqrt(share * (1 - share) / of + weight / (4 * of)) / (1 + weight)
    return max(0.0, middle - reach), min(1.0, middle + reach)
