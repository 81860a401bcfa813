"""Steps on a referral's consent: requested, granted, lost; and what a case records of consent and custody."""

from typing import Final

from msgspec.structs import replace

from contracts.consent import ConsentGranted, ConsentLost, CustodyRecorded
from contracts.model import CollaborationModel
from contracts.referral import ConsentAwaited, ReferralReady, ReferralWithdrawn
from services.kernel.decider.decision import Decision
from services.kernel.errors import InvalidTransition
from services.referral.domain.access import consent_covers
from services.referral.domain.commands import AwaitConsent
from services.referral.domain.eligibility import require_code
from services.referral.domain.refusals import CodeUnknown, NotEligible
from services.referral.domain.states import (
    AwaitingConsent,
    Case,
    Closed,
    Custody,
    Drafted,
    Expected,
    Granted,
    Lost,
    Plan,
    Ready,
    Scope,
    Shared,
    Withdrawn,
)
from services.referral.domain.steps.escalation import expire
from services.referral.domain.transition import DocumentTransition, Transition

LAPSED: Final = "lapsed"
"""The consent service's code for a request that was not answered in time."""


def record_consent(
    _transition: DocumentTransition, before: Case | Expected | None, event: ConsentGranted | ConsentLost
) -> Decision:
    """Record the consent of a referral, whether or not the case or the referral exists yet."""
    consent = (
        Granted(event.organisation_id, Scope(event.purpose, event.facts), event.until)
        if isinstance(event, ConsentGranted)
        else Lost(event.reason)
    )
    state = before or Expected()
    return Decision(replace(state, consents={**state.consents, event.referral_id: consent}))


def record_custody(
    _transition: DocumentTransition, before: Case | Expected | None, event: CustodyRecorded
) -> Decision:
    """Record who holds parental responsibility, which opens the case to them for reading."""
    custody = Custody(event.holder_ids, event.young_person_id)
    return Decision(replace(before or Expected(), custody=custody))


def await_consent(transition: Transition, before: Drafted, command: AwaitConsent) -> Decision:
    """Request the consents, and apply at once an answer that was consumed before the request."""
    case, deadlines = transition.case, transition.model.deadlines
    if case.eligibility is None or not case.eligibility.eligible:
        raise NotEligible
    awaiting = AwaitingConsent(
        plan=before.plan,
        scope=_scope(before.plan, command, transition.model),
        remind_on=transition.day_after(deadlines.consent_remind),
        lapse_on=transition.day_after(deadlines.consent_lapse),
    )
    event = ConsentAwaited(
        referral_id=transition.referral_id,
        organisation_id=before.plan.organisation_id,
        purpose=awaiting.scope.purpose,
        facts=awaiting.scope.facts,
        model=case.model,
        model_version=case.model_version,
        awaited_at=transition.context.now,
        remind_on=awaiting.remind_on,
        lapse_on=awaiting.lapse_on,
    )
    requested = transition.moved(awaiting, event)
    answered = _answer(replace(transition, case=requested.state), awaiting)
    return Decision(answered.state, requested.events + answered.events, requested.timers + answered.timers)


def await_again(transition: Transition, before: AwaitingConsent, command: AwaitConsent) -> Decision:
    """Change nothing where just this is requested already; other facts would be another request."""
    if _scope(before.plan, command, transition.model) != before.scope:
        raise InvalidTransition(str(before.__struct_config__.tag))
    return Decision(transition.case)


def grant(transition: Transition, before: AwaitingConsent, _event: ConsentGranted) -> Decision:
    """Make the referral ready where the consent covers all that was requested."""
    return _answer(transition, before)


def lapse(transition: Transition, before: AwaitingConsent, _event: ConsentLost) -> Decision:
    """Withdraw a referral whose consent was refused, or expire it where the request lapsed."""
    return _answer(transition, before)


def withdraw(
    transition: Transition, before: AwaitingConsent | Ready | Shared | Closed, event: ConsentLost
) -> Decision:
    """Stop the referral; what had reached the organisation must be deleted.

    A closed referral too: the end of the agreement and the loss of the consent may arrive in either order.
    """
    return _withdrawn(transition, before, event.reason)


def _answer(transition: Transition, before: AwaitingConsent) -> Decision:
    """Apply the consent on record to a referral that awaits it."""
    case, referral_id = transition.case, transition.referral_id
    match case.consents.get(referral_id):
        case Granted() if consent_covers(case, referral_id, before, transition.context):
            send_by = transition.day_after(transition.model.deadlines.send)
            ready = Ready(plan=before.plan, scope=before.scope, send_by=send_by)
            return transition.moved(ready, ReferralReady(referral_id=referral_id, send_by=send_by))
        case Lost(reason=reason) if reason == LAPSED:
            return expire(transition, before, before.lapse_on)
        case Lost(reason=reason):
            return _withdrawn(transition, before, reason)
        case _:
            return Decision(case)


def _withdrawn(
    transition: Transition, before: AwaitingConsent | Ready | Shared | Closed, reason: str
) -> Decision:
    delete_by = transition.day_after(transition.model.deadlines.delete_confirm)
    after = Withdrawn(
        plan=before.plan,
        reason=reason,
        withdrawn_at=transition.context.now,
        delete_by=None if isinstance(before, AwaitingConsent | Ready) else delete_by,
        in_time=before.in_time,
    )
    event = ReferralWithdrawn(
        referral_id=transition.referral_id,
        organisation_id=before.plan.organisation_id,
        reason=reason,
        delete_by=delete_by,
    )
    return transition.moved(after, event, transition.place_released(before))


def _scope(plan: Plan, command: AwaitConsent, model: CollaborationModel) -> Scope:
    """Return the chosen facts, and those without which no referral is understood."""
    purpose = command.purpose or plan.purposes[0]
    if purpose not in plan.purposes:
        raise CodeUnknown(", ".join(plan.purposes))
    for fact in command.facts:
        require_code(fact, model.facts)
    return Scope(
        purpose, tuple(fact.code for fact in model.facts if fact.always or fact.code in command.facts)
    )
