"""Step of measuring: scores at the start, the end and after, and what they come to; pure."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from contracts.evaluation import DimensionChange, MeasurementTaken, OutcomeReckoned
from contracts.model import CollaborationModel
from contracts.model_parts import Dimension
from services.evaluation.domain.commands import TakeMeasurement
from services.evaluation.domain.refusals import (
    AfterTooEarly,
    DimensionUnknown,
    ScoreMissing,
    ScoreOffScale,
    StartPast,
)
from services.evaluation.domain.states import (
    Change,
    Collaboration,
    Measured,
    Moment,
    Over,
    scores_name,
)
from services.evaluation.domain.transition import Transition
from services.kernel.decider.decision import Context, Decision, PrivateValue

_ROUNDING: Final = 1e-9
_LATER: Final[tuple[Moment, ...]] = ("end", "after")
_EARLY: Final = timedelta(days=30)


def measure(transition: Transition, before: Collaboration, command: TakeMeasurement) -> Decision:
    """Take a measurement, and compare the later ones with the first; taken again, the later scores count."""
    context, model, today = transition.context, transition.model, transition.today
    _check_scores(command.scores, model)
    _check_moment(before, command.moment, today)
    name = scores_name(command.agreement_id, command.moment)
    if command.moment in before.measured and context.private.get(name) == command.scores:
        return Decision(transition.case)
    taken = Measured(command.measurement_id, today, tuple(sorted(command.scores)))
    after = replace(before, measured={**before.measured, command.moment: taken})
    outcomes = _outcomes(after, command, context, model)
    events = (
        MeasurementTaken(
            agreement_id=command.agreement_id,
            measurement_id=command.measurement_id,
            moment=command.moment,
            taken_on=today,
            dimensions=taken.dimensions,
        ),
        *(
            _reckoned(command.agreement_id, outcome)
            for moment, outcome in outcomes.items()
            if outcome != before.outcomes.get(moment)
        ),
    )
    decision = transition.moved(replace(after, outcomes=outcomes), *events)
    return replace(decision, private_values=(PrivateValue(context.stream_id, name, command.scores),))


def _check_moment(collaboration: Collaboration, moment: Moment, today: date) -> None:
    over = collaboration if isinstance(collaboration, Over) else None
    if moment == "start" and over:
        raise StartPast
    if moment == "after" and (over is None or today < over.after_on - _EARLY):
        raise AfterTooEarly


def _outcomes(
    measured: Collaboration, command: TakeMeasurement, context: Context, model: CollaborationModel
) -> dict[Moment, dict[str, Change]]:
    """Return what each later measurement shows against the first, where both were taken."""
    scores: dict[str, dict[str, float]] = {
        moment: context.private.get(scores_name(command.agreement_id, moment), {})
        for moment in measured.measured
    }
    scores[command.moment] = command.scores
    if "start" not in scores:
        return {}
    return {moment: changes(scores["start"], scores[moment], model) for moment in _LATER if moment in scores}


def _reckoned(agreement_id: UUID, outcome: dict[str, Change]) -> OutcomeReckoned:
    return OutcomeReckoned(
        agreement_id=agreement_id,
        changes=tuple(
            DimensionChange(dimension=dimension, change=change) for dimension, change in outcome.items()
        ),
    )


def _check_scores(scores: Mapping[str, float], model: CollaborationModel) -> None:
    """Raise the refusal that names what is wrong with a measurement."""
    if not scores:
        raise ScoreMissing
    scales = {dimension.code: dimension for dimension in model.dimensions}
    for code, score in scores.items():
        scale = scales.get(code)
        if scale is None:
            raise DimensionUnknown(", ".join(scales))
        if not scale.lowest <= score <= scale.highest:
            raise ScoreOffScale(f"{scale.code}: {scale.lowest} to {scale.highest}")


def changes(
    first: Mapping[str, float], last: Mapping[str, float], model: CollaborationModel
) -> dict[str, Change]:
    """Return how each dimension has moved by the model's threshold; what lacks a score is missing."""
    return {dimension.code: _change(dimension, first, last) for dimension in model.dimensions}


def _change(dimension: Dimension, first: Mapping[str, float], last: Mapping[str, float]) -> Change:
    if dimension.code not in first or dimension.code not in last:
        return "missing"
    move = last[dimension.code] - first[dimension.code]
    if abs(move) < dimension.threshold - _ROUNDING:
        return "same"
    return "better" if move > 0 else "worse"
