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


def settled(command: Propose, version: int, model: CollaborationModel, today: date) -> Terms:
    """Return the terms of a proposal; raise the refusal that names what it leaves open."""
    _check_goals(command.goals, model)
    _check_wants(command)
    _check_cost(command, model)
    if not command.starts_on < command.ends_on or command.ends_on <= today:
        raise DurationMissing
    update, evaluate = _rhythm(command, model)
    return Terms(
        version=version,
        goals=tuple(Goal(goal.goal_id, goal.purpose, goal.responsible) for goal in command.goals),
        starts_on=command.starts_on,
        ends_on=command.ends_on,
        update_every_days=update,
        evaluate_every_days=evaluate,
        cost=command.cost,
        payer=command.payer,
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


def _check_wants(command: Propose) -> None:
    silent = [party for party in SIGNING if not command.wants.get(party, "").strip()]
    if silent:
        raise WantMissing(", ".join(silent))


def _check_cost(command: Propose, model: CollaborationModel) -> None:
    """Who pays is said exactly where there is something to pay, and in words where several share it."""
    if by_code(model.prices, command.cost) is None:
        raise CostOpen(command.cost)
    if (command.cost == _FREE) != (command.payer == "nobody"):
        raise CostOpen(command.payer)
    if command.payer == "shared" and not command.cost_text.strip():
        raise CostOpen(command.payer)


def _rhythm(command: Propose, model: CollaborationModel) -> tuple[int, int]:
    evaluate = command.evaluate_every_days or model.rhythm.evaluation_days
    update = command.update_every_days or min(model.rhythm.update_days, evaluate)
    if not 1 <= update <= evaluate <= model.rhythm.evaluation_days:
        raise RhythmTooSlow(f"at most {model.rhythm.evaluation_days} days")
    return update, evaluate
