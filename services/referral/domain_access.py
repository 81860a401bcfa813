"""Who may see and do what in a case; refused is the default."""

from typing import Final, TypeAlias
from uuid import UUID

from contracts.model_parts import by_code
from services.kernel.decider.decision import Actor, Context, ReadRequest
from services.kernel.errors import ConsentUnknown
from services.referral.domain_commands import (
    AcceptReferral,
    AssessEligibility,
    AwaitConsent,
    CloseCase,
    Command,
    ConfirmDeletion,
    DeclineReferral,
    DraftReferral,
    NoteViews,
    OpenCase,
    RecallReferral,
    SeeReferral,
    SendReferral,
)
from services.referral.domain_states import Accepted, Case, Referral, Shared, State, UnderWay
from services.referral.domain_turn import Turn

STATUS: Final = "status"
"""Ids, statuses and deadlines; nothing personal."""

FULL: Final = frozenset({
    "first_name", "family_name", "born", "residence", "language", "contact", "practical",
    "child_view", "family_view", "conditions", "factors", "judgement", "need", "goals",
})  # fmt: skip
"""Every part of a case that is sealed."""

SHARED: Final = frozenset({"sent", "seen", "accepted", "under_way"})
"""The statuses in which an organisation may know of a referral, while a consent covers it."""

# A child may speak without its parents (barnets lov § 5): its words are not theirs to read, nor theirs its.
GUARDIANS: Final = FULL - {"child_view"}
YOUNG_PERSONS: Final = FULL - {"family_view", "contact"}

_Caseworkers: TypeAlias = (
    NoteViews | AssessEligibility | DraftReferral | AwaitConsent | SendReferral | RecallReferral | CloseCase
)
_Coordinators: TypeAlias = SeeReferral | AcceptReferral | DeclineReferral | ConfirmDeletion


def allows(state: State | None, command: Command | ReadRequest, context: Context) -> bool:
    """Return whether the actor may take a step, or look at parts of a case.

    Raises `ConsentUnknown` where a coordinator might be let in and the gate cannot be trusted.
    """
    actor = context.actor
    if isinstance(command, OpenCase):
        return actor.role == "caseworker" and actor.department_id == command.department_id
    if not isinstance(state, Case):
        return False
    if isinstance(command, ReadRequest):
        return set(command.what) <= visible(state, context)
    return _may_step(state, command, context)


def visible(case: Case, context: Context) -> frozenset[str]:
    """Return which parts of a case the actor may see; with nothing to see not even its status."""
    actor = context.actor
    match actor.role:
        case "caseworker" if _is_caseworker(case, actor):
            return FULL | {STATUS}
        case "guardian" if case.custody and actor.id in case.custody.holder_ids:
            return GUARDIANS | {STATUS}
        case "young_person" if case.custody and actor.id == case.custody.young_person_id:
            return YOUNG_PERSONS | {STATUS}
        case "coordinator":
            facts = [shared_facts(case, referral_id, context) for referral_id in shared_with(case, context)]
            return frozenset().union(*facts, {STATUS} if facts else ())
        case _:
            return frozenset()


def shared_with(case: Case, context: Context) -> tuple[UUID, ...]:
    """Return the referrals that the coordinator's organisation may read now."""
    return tuple(
        referral_id
        for referral_id, referral in case.referrals.items()
        if _is_coordinator(referral, context.actor) and _is_shared(case, referral_id, referral, context)
    )


def shared_facts(case: Case, referral_id: UUID, context: Context) -> frozenset[str]:
    """Return the facts that the organisation sees of a referral at the step it has reached."""
    referral = case.referrals[referral_id]
    if not isinstance(referral, Shared):
        return frozenset()
    model = context.models[case.ref]
    reached = {"sent", "accepted"} if isinstance(referral, Accepted | UnderWay) else {"sent"}
    found = (by_code(model.facts, code) for code in referral.scope.facts)
    return frozenset(fact.code for fact in found if fact and fact.shown_from in reached)


def _may_step(case: Case, command: _Caseworkers | _Coordinators, context: Context) -> bool:
    if isinstance(command, _Caseworkers):
        return _is_caseworker(case, context.actor)
    referral = case.referrals.get(command.referral_id)
    if referral is None or not _is_coordinator(referral, context.actor):
        return False
    # an organisation can always go and delete, which shows it nothing; what it does else, the gate guards
    exits = isinstance(command, DeclineReferral | ConfirmDeletion)
    return exits or _is_shared(case, command.referral_id, referral, context)


def _is_caseworker(case: Case, actor: Actor) -> bool:
    return actor.role == "caseworker" and actor.department_id == case.department_id


def _is_coordinator(referral: Referral, actor: Actor) -> bool:
    return actor.role == "coordinator" and actor.organisation_id == referral.plan.organisation_id


def _is_shared(case: Case, referral_id: UUID, referral: Referral, context: Context) -> bool:
    if not isinstance(referral, Shared):
        return False
    if not context.consents_fresh:
        raise ConsentUnknown
    return Turn(case, referral_id, context).covers(referral)
