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
from services.kernel.decider.decision import Context, Decision, PrivateValue

_LATER: Final[tuple[Moment, ...]] = ("end", "after")
_EARLY: Final = timedelta(days=30)


def measure(case: Case, before: Collaboration, command: TakeMeasurement, context: Context) -> Decision:
    """Take a measurement, and hold the later ones against the first; taken again, the later scores count."""
    model, today = model_of(before.about, context), today_of(before.about, context)
    check_scores(command.scores, model)
    _check_moment(before, command.moment, today)
    name = scores_name(command.agreement_id, command.moment)
    if command.moment in before.measured and context.private.get(name) == command.scores:
        return Decision(case)
    taken = Measured(command.measurement_id, today, tuple(sorted(command.scores)))
    after = replace(before, measured={**before.measured, command.moment: taken})
    outcomes = _outcomes(after, command, context, model)
    told = (
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
    decision = turn(case, command.agreement_id, replace(after, outcomes=outcomes), context, *told)
    return replace(decision, private_values=(PrivateValue(context.stream_id, name, command.scores),))


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
