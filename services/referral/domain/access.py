"""Access rules: which actor may see and do what in a case, and the consent gate; refusal is the default."""

from datetime import date
from typing import Final, TypeAlias, assert_never, get_args
from uuid import UUID

from contracts.model_parts import by_code
from services.kernel.decider.decision import Actor, Context, ReadRequest
from services.kernel.errors import ConsentUnknown
from services.referral.domain.commands import (
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
    SendReferral,
)
from services.referral.domain.refusals import ConsentMissing, DeclarationExpired, OrganisationNotJoined
from services.referral.domain.states import (
    Accepted,
    AwaitingConsent,
    Case,
    Closed,
    Declined,
    Drafted,
    Expired,
    Granted,
    Organisation,
    Ready,
    Recalled,
    Referral,
    Seen,
    Sent,
    Shared,
    State,
    UnderWay,
    Withdrawn,
)

STATUS: Final = "status"
"""Ids, statuses and deadlines; nothing personal."""

FULL: Final = frozenset({
    "first_name", "family_name", "born", "residence", "language", "contact", "practical",
    "child_view", "family_view", "conditions", "factors", "judgement", "need", "goals",
})  # fmt: skip
"""Every part of a case that is sealed."""

NAME: Final = ("first_name", "family_name")
"""The parts of a case that a list shows."""

SHARED: Final = frozenset({"sent", "seen", "accepted", "under_way"})
"""The statuses in which an organisation may read a referral, while a consent covers it."""

# A child may speak without its parents (barnets lov § 5): neither reads the words of the other.
GUARDIANS: Final = FULL - {"child_view"}
YOUNG_PERSONS: Final = FULL - {"family_view", "contact"}

_SENT: Final = "sent"
"""What an expired referral was waiting for where the organisation had it."""

_Caseworkers: TypeAlias = (
    NoteViews | AssessEligibility | DraftReferral | AwaitConsent | SendReferral | RecallReferral | CloseCase
)
_Gated: TypeAlias = AwaitingConsent | Ready | Shared


def authorize(state: State | None, trigger: Command | ReadRequest, context: Context) -> bool:
    """Return whether the actor may give a command, or read parts of a case.

    Raises `ConsentUnknown` where a coordinator may have access and the consents on record are not fresh.
    """
    actor = context.actor
    if isinstance(trigger, OpenCase):
        return actor.role == "caseworker" and actor.department_id == trigger.department_id
    if not isinstance(state, Case):
        return False
    if isinstance(trigger, ReadRequest):
        return set(trigger.what) <= visible(state, context)
    referral_id = getattr(trigger, "referral_id", None)
    return may_give(state, type(trigger), referral_id, context)


def may_give(case: Case, kind: type, referral_id: UUID | None, context: Context) -> bool:
    """Return whether the actor may give a kind of command on a case, or on one of its referrals.

    Raises `ConsentUnknown` as `authorize` does.
    """
    if kind in get_args(_Caseworkers):
        return _is_caseworker(case, context.actor)
    referral = case.referrals.get(referral_id) if referral_id else None
    if referral_id is None or referral is None or not _is_coordinator(referral, context.actor):
        return False
    # an organisation may always decline and confirm a deletion of what it was sent: it shows it nothing
    exits = kind in {DeclineReferral, ConfirmDeletion} and _was_sent(referral)
    return exits or _is_shared(case, referral_id, referral, context)


def consent_covers(case: Case, referral_id: UUID, referral: _Gated, context: Context) -> bool:
    """Return whether a valid consent names this organisation, this purpose and all of these facts."""
    consent = case.consents.get(referral_id)
    return (
        isinstance(consent, Granted)
        and context.now < consent.until
        and consent.organisation_id == referral.plan.organisation_id
        and consent.scope.purpose == referral.scope.purpose
        and set(referral.scope.facts) <= set(consent.scope.facts)
    )


def require_consent(case: Case, referral_id: UUID, referral: _Gated, context: Context) -> None:
    """Raise `ConsentUnknown` where the consents are not fresh, `ConsentMissing` where none covers it."""
    if not context.consents_fresh:
        raise ConsentUnknown
    if not consent_covers(case, referral_id, referral, context):
        raise ConsentMissing


def require_standing(organisation: object, today: date) -> None:
    """Raise `OrganisationNotJoined` or `DeclarationExpired` where an organisation may get no referral."""
    if not isinstance(organisation, Organisation) or not organisation.joined:
        raise OrganisationNotJoined
    if organisation.declaration_until < today:
        raise DeclarationExpired


def visible(case: Case, context: Context) -> frozenset[str]:
    """Return which parts of a case the actor may see; where there are none, not even its status."""
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


def _is_caseworker(case: Case, actor: Actor) -> bool:
    return actor.role == "caseworker" and actor.department_id == case.department_id


def _is_coordinator(referral: Referral, actor: Actor) -> bool:
    return actor.role == "coordinator" and actor.organisation_id == referral.plan.organisation_id


def _was_sent(referral: Referral) -> bool:
    """Return whether a referral has ever reached its organisation; before that, it does not exist for it."""
    match referral:
        case Drafted() | AwaitingConsent() | Ready():
            return False
        case Recalled() | Withdrawn():
            return referral.delete_by is not None
        case Expired():
            return referral.step == _SENT
        case Sent() | Seen() | Accepted() | UnderWay() | Closed() | Declined():
            return True
        case _:
            assert_never(referral)


def _is_shared(case: Case, referral_id: UUID, referral: Referral, context: Context) -> bool:
    if not isinstance(referral, Shared):
        return False
    if not context.consents_fresh:
        raise ConsentUnknown
    return consent_covers(case, referral_id, referral, context)
