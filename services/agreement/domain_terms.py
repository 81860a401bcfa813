"""What a proposed version must state before it can be signed; pure."""

from datetime import date

from contracts.agreement import GoalOutline
from contracts.model import CollaborationModel
from contracts.model_parts import by_code
from services.agreement.domain_commands import (
    ActionMissing,
    CostOpen,
    DurationMissing,
    GoalMissing,
    GoalSaid,
    Propose,
    PurposeUnknown,
    RhythmTooSlow,
    WantMissing,
)
from services.agreement.domain_states import SIGNING, Goal, Terms

_FREE = "free"


def settled(asked: Propose, version: int, model: CollaborationModel, today: date) -> Terms:
    """Return the terms of a proposal; raise the refusal that names what it leaves open."""
    _check_goals(asked.goals, model)
    _check_wants(asked)
    _check_cost(asked, model)
    if not asked.starts_on < asked.ends_on or asked.ends_on <= today:
        raise DurationMissing
    update, evaluate = _rhythm(asked, model)
    return Terms(
        version=version,
        goals=tuple(Goal(goal.goal_id, goal.purpose, goal.responsible) for goal in asked.goals),
        starts_on=asked.starts_on,
        ends_on=asked.ends_on,
        update_every_days=update,
        evaluate_every_days=evaluate,
        cost=asked.cost,
        payer=asked.payer,
    )


def outlines(terms: Terms) -> tuple[GoalOutline, ...]:
    """Return the goals as others may hear of them."""
    return tuple(
        GoalOutline(goal_id=goal.goal_id, purpose=goal.purpose, responsible=goal.responsible)
        for goal in terms.goals
    )


def _check_goals(goals: tuple[GoalSaid, ...], model: CollaborationModel) -> None:
    if not goals or any(not goal.text.strip() for goal in goals):
        raise GoalMissing
    for goal in goals:
        if by_code(model.purposes, goal.purpose) is None:
            raise PurposeUnknown(goal.purpose)
        if not goal.actions or any(not action.text.strip() for action in goal.actions):
            raise ActionMissing


def _check_wants(asked: Propose) -> None:
    silent = [party for party in SIGNING if not asked.wants.get(party, "").strip()]
    if silent:
        raise WantMissing(", ".join(silent))


def _check_cost(asked: Propose, model: CollaborationModel) -> None:
    """Who pays is said exactly where there is something to pay, and in words where several share it."""
    if by_code(model.prices, asked.cost) is None:
        raise CostOpen(asked.cost)
    if (asked.cost == _FREE) != (asked.payer == "nobody"):
        raise CostOpen(asked.payer)
    if asked.payer == "shared" and not asked.cost_text.strip():
        raise CostOpen(asked.payer)


def _rhythm(asked: Propose, model: CollaborationModel) -> tuple[int, int]:
    evaluate = asked.evaluate_every_days or model.rhythm.evaluation_days
    update = asked.update_every_days or min(model.rhythm.update_days, evaluate)
    if not 1 <= update <= evaluate <= model.rhythm.evaluation_days:
        raise RhythmTooSlow(f"at most {model.rhythm.evaluation_days} days")
    return update, evaluate
