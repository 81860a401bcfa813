"""Measurements at the start, the end and after, and what they come to; pure."""

from datetime import date, timedelta
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from contracts.evaluation import DimensionChange, MeasurementTaken, OutcomeReckoned
from contracts.model import CollaborationModel
from services.evaluation.domain_commands import AfterTooEarly, StartPast, TakeMeasurement
from services.evaluation.domain_outcome import changes, check_scores
from services.evaluation.domain_states import Case, Change, Collaboration, Measured, Moment, Over
from services.evaluation.domain_turns import model_of, today_of, turn
from services.kernel.decider.decision import Decision, Given, Seal

_LATER: Final[tuple[Moment, ...]] = ("end", "after")
_EARLY: Final = timedelta(days=30)


def measure(case: Case, before: Collaboration, asked: TakeMeasurement, given: Given) -> Decision:
    """Take a measurement, and hold the later ones against the first; taken again, the later scores count."""
    model, today = model_of(before.about, given), today_of(before.about, given)
    check_scores(asked.scores, model)
    _check_moment(before, asked.moment, today)
    name = scores_name(asked.agreement_id, asked.moment)
    if asked.moment in before.measured and given.private.get(name) == asked.scores:
        return Decision(case)
    taken = Measured(asked.measurement_id, today, tuple(sorted(asked.scores)))
    after = replace(before, measured={**before.measured, asked.moment: taken})
    outcomes = _outcomes(after, asked, given, model)
    told = (
        MeasurementTaken(
            agreement_id=asked.agreement_id,
            measurement_id=asked.measurement_id,
            moment=asked.moment,
            taken_on=today,
            dimensions=taken.dimensions,
        ),
        *(
            _reckoned(asked.agreement_id, outcome)
            for moment, outcome in outcomes.items()
            if outcome != before.outcomes.get(moment)
        ),
    )
    decision = turn(case, asked.agreement_id, replace(after, outcomes=outcomes), given, *told)
    return replace(decision, seals=(Seal(given.stream_id, name, asked.scores),))


def scores_name(agreement_id: UUID, moment: str) -> str:
    """Return the name under which the scores of a measurement lie sealed."""
    return f"scores:{agreement_id}:{moment}"


def _check_moment(collaboration: Collaboration, moment: Moment, today: date) -> None:
    over = collaboration if isinstance(collaboration, Over) else None
    if moment == "start" and over:
        raise StartPast
    if moment == "after" and (over is None or today < over.after_on - _EARLY):
        raise AfterTooEarly


def _outcomes(
    measured: Collaboration, asked: TakeMeasurement, given: Given, model: CollaborationModel
) -> dict[Moment, dict[str, Change]]:
    """Return what each later measurement shows against the first, where both were taken."""
    scores: dict[str, dict[str, float]] = {
        moment: given.private.get(scores_name(asked.agreement_id, moment), {}) for moment in measured.measured
    }
    scores[asked.moment] = asked.scores
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
