"""Steps of the terms: what a proposed version must state before it can be signed; pure."""

from datetime import date
from typing import Final
from uuid import UUID

from msgspec import to_builtins
from msgspec.structs import replace

from contracts.agreement import AgreementProposed, GoalOutline
from contracts.model import CollaborationModel
from contracts.model_parts import by_code
from services.agreement.domain.commands import GoalInput, Propose
from services.agreement.domain.refusals import (
    ActionMissing,
    CostOpen,
    DurationMissing,
    GoalMissing,
    PurposeUnknown,
    RhythmTooSlow,
    WantMissing,
)
from services.agreement.domain.states import (
    SIGNING,
    Agreement,
    Goal,
    InForce,
    Met,
    Proposal,
    Proposed,
    Terms,
    cost_name,
    goals_name,
    wants_name,
)
from services.agreement.domain.transition import Transition, wrong_moment
from services.kernel.decider.decision import Decision, PrivateValue

_FREE: Final = "free"


def propose(transition: Transition, before: Met | Proposed, command: Propose) -> Decision:
    """Propose a version to be signed by all parties."""
    terms = _settled(command, latest_version(before) + 1, transition.model, transition.today)
    after = Proposed(about=before.about, held_on=before.held_on, proposal=Proposal(terms))
    return _proposed(transition, after, command, terms)


def adjust(transition: Transition, before: InForce, command: Propose) -> Decision:
    """Propose a new version; the one in force stays so until all have signed.

    Raises `InvalidTransition` unless an evaluation has decided to adjust.
    """
    if not before.adjustable:
        raise wrong_moment(before, command)
    terms = _settled(command, latest_version(before) + 1, transition.model, transition.today)
    return _proposed(transition, replace(before, proposal=Proposal(terms)), command, terms)


def latest_version(agreement: Met | Proposed | InForce) -> int:
    """Return the highest version there is, 0 before the first."""
    match agreement:
        case Proposed(proposal=proposal) | InForce(proposal=Proposal() as proposal):
            return proposal.terms.version
        case InForce(terms=terms):
            return terms.version
        case Met():
            return 0


def _proposed(transition: Transition, after: Agreement, command: Propose, terms: Terms) -> Decision:
    event = AgreementProposed(
        agreement_id=command.agreement_id,
        referral_id=after.about.referral_id,
        organisation_id=after.about.organisation_id,
        version=terms.version,
        goals=_outlines(terms),
        starts_on=terms.starts_on,
        ends_on=terms.ends_on,
        update_every_days=terms.update_every_days,
        evaluate_every_days=terms.evaluate_every_days,
        cost=terms.cost,
    )
    decision = transition.moved(after, event)
    return replace(
        decision, private_values=_private_values(command, terms.version, transition.context.stream_id)
    )


def _private_values(command: Propose, version: int, case_id: UUID) -> tuple[PrivateValue, ...]:
    """Return the words of a version, to be kept under the case's key."""
    goals = [
        {
            "goal_id": str(goal.goal_id),
            "text": goal.text,
            "actions": [to_builtins(action) for action in goal.actions],
        }
        for goal in command.goals
    ]
    return (
        PrivateValue(case_id, goals_name(command.agreement_id, version), goals),
        PrivateValue(case_id, wants_name(command.agreement_id, version), dict(command.wants)),
        PrivateValue(case_id, cost_name(command.agreement_id, version), command.cost_text),
    )


def _settled(command: Propose, version: int, model: CollaborationModel, today: date) -> Terms:
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


def _outlines(terms: Terms) -> tuple[GoalOutline, ...]:
    """Return the goals as other services may receive them."""
    return tuple(
        GoalOutline(goal_id=goal.goal_id, purpose=goal.purpose, responsible=goal.responsible)
        for goal in terms.goals
    )


def _check_goals(goals: tuple[GoalInput, ...], model: CollaborationModel) -> None:
    if not goals or any(not goal.text.strip() for goal in goals):
        raise GoalMissing
    for goal in goals:
        if by_code(model.purposes, goal.purpose) is None:
            raise PurposeUnknown(", ".join(purpose.code for purpose in model.purposes))
        if not goal.actions or any(not action.text.strip() for action in goal.actions):
            raise ActionMissing


def _check_wants(command: Propose) -> None:
    silent = [party for party in SIGNING if not command.wants.get(party, "").strip()]
    if silent:
        raise WantMissing(", ".join(silent))


def _check_cost(command: Propose, model: CollaborationModel) -> None:
    """State who pays exactly where there is something to pay, and in words where several share it."""
    if by_code(model.prices, command.cost) is None:
        raise CostOpen(f"cost: {', '.join(price.code for price in model.prices)}")
    if (command.cost == _FREE) != (command.payer == "nobody"):
        raise CostOpen("payer")
    if command.payer == "shared" and not command.cost_text.strip():
        raise CostOpen("cost_text")


def _rhythm(command: Propose, model: CollaborationModel) -> tuple[int, int]:
    evaluate = command.evaluate_every_days or model.rhythm.evaluation_days
    update = command.update_every_days or min(model.rhythm.update_days, evaluate)
    if not 1 <= update <= evaluate <= model.rhythm.evaluation_days:
        raise RhythmTooSlow(f"at most {model.rhythm.evaluation_days} days")
    return update, evaluate
