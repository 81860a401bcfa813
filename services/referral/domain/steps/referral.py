"""Steps of a referral and its organisation: sending, answer, agreement, recall, deletion; pure."""

from msgspec.structs import replace

from contracts.agreement import AgreementEnded, AgreementInForce
from contracts.referral import (
    DeletionConfirmed,
    ReferralAccepted,
    ReferralClosed,
    ReferralDeclined,
    ReferralRecalled,
    ReferralSeen,
    ReferralSent,
    ReferralUnderWay,
)
from services.kernel.decider.decision import Decision
from services.kernel.errors import InvalidTransition
from services.referral.domain.access import require_consent, require_standing
from services.referral.domain.commands import (
    AcceptReferral,
    ConfirmDeletion,
    DeclineReferral,
    OfReferral,
    RecallReferral,
    SeeReferral,
    SendReferral,
)
from services.referral.domain.eligibility import require_code
from services.referral.domain.refusals import NotEligible
from services.referral.domain.states import (
    Accepted,
    Asking,
    Closed,
    Declined,
    Open,
    Placed,
    Ready,
    Recalled,
    Referral,
    Seen,
    Sent,
    Shared,
    Stopped,
    UnderWay,
)
from services.referral.domain.transition import Transition


def unchanged(transition: Transition, _before: Referral, _command: OfReferral) -> Decision:
    """Change nothing: the command was carried out before."""
    return Decision(transition.case)


def send(transition: Transition, before: Ready, _command: SendReferral) -> Decision:
    """Send the referral, if a consent covers it and the organisation may be approached at all.

    A serious concern that was found since the draft keeps the case away from volunteers too.
    """
    require_consent(transition.case, transition.referral_id, before, transition.context)
    eligibility = transition.case.eligibility
    if eligibility is None or not eligibility.eligible:
        raise NotEligible(" ".join(eligibility.reasons) if eligibility else "")
    plan = before.plan
    require_standing(transition.context.others.get(plan.organisation_id), transition.today)
    now, answer_by = transition.context.now, transition.day_after(transition.model.deadlines.answer)
    return transition.moved(
        Sent(plan=plan, scope=before.scope, sent_at=now, answer_by=answer_by),
        ReferralSent(
            referral_id=transition.referral_id,
            organisation_id=plan.organisation_id,
            offer_id=plan.offer_id,
            sent_at=now,
            answer_by=answer_by,
        ),
    )


def see(transition: Transition, before: Sent, _command: SeeReferral) -> Decision:
    """Record that the organisation has opened it; the day of the answer stays."""
    require_consent(transition.case, transition.referral_id, before, transition.context)
    now = transition.context.now
    seen = Seen(
        plan=before.plan, scope=before.scope, sent_at=before.sent_at, seen_at=now, answer_by=before.answer_by
    )
    event = ReferralSeen(
        referral_id=transition.referral_id, organisation_id=before.plan.organisation_id, seen_at=now
    )
    return transition.changed(seen, event)


def accept(transition: Transition, before: Asking, _command: AcceptReferral) -> Decision:
    """Take the case into the offer, and a place of it; two cannot take the last one.

    An organisation that has left since the sending, or whose declaration has run out, takes no new case.
    """
    require_consent(transition.case, transition.referral_id, before, transition.context)
    plan, now = before.plan, transition.context.now
    places = transition.place_taken(plan.offer_id)
    require_standing(transition.context.others.get(plan.organisation_id), transition.today)
    meeting_by = transition.day_after(transition.model.deadlines.meeting)
    accepted = Accepted(
        plan=plan,
        scope=before.scope,
        accepted_at=now,
        in_time=transition.today <= before.answer_by,
        meeting_by=meeting_by,
    )
    event = ReferralAccepted(
        referral_id=transition.referral_id,
        organisation_id=plan.organisation_id,
        offer_id=plan.offer_id,
        purposes=plan.purposes,
        model=transition.case.model,
        model_version=transition.case.model_version,
        accepted_at=now,
        meeting_by=meeting_by,
    )
    return transition.moved(accepted, event, places)


def decline(transition: Transition, before: Asking, command: DeclineReferral) -> Decision:
    """Record that the organisation does not take the case; its access ends with this."""
    require_code(command.reason, transition.model.decline_reasons)
    declined = Declined(
        plan=before.plan,
        reason=command.reason,
        declined_at=transition.context.now,
        in_time=transition.today <= before.answer_by,
    )
    event = ReferralDeclined(
        referral_id=transition.referral_id, organisation_id=before.plan.organisation_id, reason=command.reason
    )
    return transition.moved(declined, event)


def recall(transition: Transition, before: Open, command: RecallReferral) -> Decision:
    """Take the referral back, at any time; what had reached the organisation must be deleted."""
    require_code(command.reason, transition.model.recall_reasons)
    delete_by = transition.day_after(transition.model.deadlines.delete_confirm)
    stopped = Recalled(
        plan=before.plan,
        reason=command.reason,
        recalled_at=transition.context.now,
        delete_by=delete_by if isinstance(before, Shared) else None,
        in_time=before.in_time,
    )
    event = ReferralRecalled(
        referral_id=transition.referral_id,
        organisation_id=before.plan.organisation_id,
        reason=command.reason,
        delete_by=delete_by,
    )
    return transition.moved(stopped, event, transition.place_released(before))


def confirm_deletion(transition: Transition, before: Stopped, _command: ConfirmDeletion) -> Decision:
    """Record that the organisation's copy is gone, which ends the reminders; repeated, change nothing."""
    if before.deleted_at is not None:
        return Decision(transition.case)
    if before.delete_by is None:
        raise InvalidTransition(str(before.__struct_config__.tag))
    event = DeletionConfirmed(referral_id=transition.referral_id, organisation_id=before.plan.organisation_id)
    return transition.moved(replace(before, deleted_at=transition.context.now), event)


def begin(transition: Transition, before: Accepted, _event: AgreementInForce) -> Decision:
    """Record that the agreement is in force."""
    under_way = UnderWay(plan=before.plan, scope=before.scope, in_time=before.in_time)
    return transition.changed(under_way, ReferralUnderWay(referral_id=transition.referral_id))


def end(transition: Transition, before: Placed, event: AgreementEnded) -> Decision:
    """Record that the agreement has ended, and give the place back."""
    after = Closed(
        plan=before.plan,
        scope=before.scope,
        reason=event.reason,
        ended_on=event.ended_on,
        in_time=before.in_time,
    )
    closed = ReferralClosed(referral_id=transition.referral_id, reason=event.reason)
    return transition.changed(after, closed, transition.place_released(before))
