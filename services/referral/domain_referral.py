"""A referral and its organisation: sent, seen, answered, under way, closed; recalled, deleted, expired."""

from datetime import date

from msgspec.structs import replace

from contracts import referral as told
from contracts.agreement import AgreementEnded
from services.kernel.decider.decision import Decision, Timer, TimerFired
from services.referral.domain_commands import DeclineReferral, RecallReferral
from services.referral.domain_consent import expired
from services.referral.domain_eligibility import known
from services.referral.domain_places import releasing, taking
from services.referral.domain_refusals import DeclarationExpired, NotEligible, OrganisationNotJoined
from services.referral.domain_states import (
    Accepted,
    Asking,
    Closed,
    Declined,
    Open,
    Organisation,
    Placed,
    Ready,
    Recalled,
    Seen,
    Sent,
    Shared,
    Stopped,
    UnderWay,
)
from services.referral.domain_turn import Turn
from services.referral.timers import CLOCK, MOVE, reached


def send(turn: Turn, ready: Ready) -> Decision:
    """Ask the organisation, if the gate is open and it may be asked at all.

    A serious concern that was found since the draft keeps the case away from volunteers too.
    """
    turn.must_cover(ready)
    eligibility = turn.case.eligibility
    if eligibility is None or not eligibility.eligible:
        raise NotEligible(" ".join(eligibility.reasons) if eligibility else "")
    plan = ready.plan
    _must_be_fit(turn.given.others.get(plan.organisation_id), turn.today)
    now, answer_by = turn.given.now, turn.due_in(turn.model.deadlines.answer)
    return turn.moved(
        Sent(plan=plan, scope=ready.scope, sent_at=now, answer_by=answer_by),
        told.ReferralSent(
            referral_id=turn.referral_id,
            organisation_id=plan.organisation_id,
            offer_id=plan.offer_id,
            sent_at=now,
            answer_by=answer_by,
        ),
    )


def see(turn: Turn, sent: Sent) -> Decision:
    """Note that the organisation has opened it; the clock runs on."""
    turn.must_cover(sent)
    now = turn.given.now
    seen = Seen(plan=sent.plan, scope=sent.scope, sent_at=sent.sent_at, seen_at=now, answer_by=sent.answer_by)
    event = told.ReferralSeen(
        referral_id=turn.referral_id, organisation_id=sent.plan.organisation_id, seen_at=now
    )
    return turn.noted(seen, event)


def accept(turn: Turn, asking: Asking) -> Decision:
    """Take the case into the offer, and a place of it; two cannot take the last one.

    Whoever has left since it was sent, or whose declaration has run out, takes nobody new.
    """
    turn.must_cover(asking)
    plan, now = asking.plan, turn.given.now
    places = taking(turn.referral_id, plan.offer_id, turn.given)
    _must_be_fit(turn.given.others.get(plan.organisation_id), turn.today)
    meeting_by = turn.due_in(turn.model.deadlines.meeting)
    accepted = Accepted(
        plan=plan,
        scope=asking.scope,
        accepted_at=now,
        in_time=turn.today <= asking.answer_by,
        meeting_by=meeting_by,
    )
    event = told.ReferralAccepted(
        referral_id=turn.referral_id,
        organisation_id=plan.organisation_id,
        offer_id=plan.offer_id,
        purposes=plan.purposes,
        model=turn.case.model,
        model_version=turn.case.model_version,
        accepted_at=now,
        meeting_by=meeting_by,
    )
    return turn.moved(accepted, event, places)


def decline(turn: Turn, asking: Asking, command: DeclineReferral) -> Decision:
    """Note that the organisation does not take the case; its access ends with this."""
    known(command.reason, turn.model.decline_reasons)
    declined = Declined(
        plan=asking.plan,
        reason=command.reason,
        declined_at=turn.given.now,
        in_time=turn.today <= asking.answer_by,
    )
    event = told.ReferralDeclined(
        referral_id=turn.referral_id, organisation_id=asking.plan.organisation_id, reason=command.reason
    )
    return turn.moved(declined, event)


def recall(turn: Turn, current: Open, command: RecallReferral) -> Decision:
    """Take the referral back, at any time; what had reached the organisation must be deleted."""
    known(command.reason, turn.model.recall_reasons)
    delete_by = turn.due_in(turn.model.deadlines.delete_confirm)
    stopped = Recalled(
        plan=current.plan,
        reason=command.reason,
        recalled_at=turn.given.now,
        delete_by=delete_by if isinstance(current, Shared) else None,
    )
    event = told.ReferralRecalled(
        referral_id=turn.referral_id,
        organisation_id=current.plan.organisation_id,
        reason=command.reason,
        delete_by=delete_by,
    )
    return turn.moved(stopped, event, releasing(turn.referral_id, current, turn.given))


def confirm_deletion(turn: Turn, stopped: Stopped) -> Decision:
    """Note that the organisation's copy is gone, which ends the chase."""
    event = told.DeletionConfirmed(referral_id=turn.referral_id, organisation_id=stopped.plan.organisation_id)
    return turn.moved(replace(stopped, deleted_at=turn.given.now), event)


def begin(turn: Turn, accepted: Accepted) -> Decision:
    """Note that the agreement is in force."""
    under_way = UnderWay(plan=accepted.plan, scope=accepted.scope)
    return turn.noted(under_way, told.ReferralUnderWay(referral_id=turn.referral_id))


def end(turn: Turn, placed: Placed, heard: AgreementEnded) -> Decision:
    """Note that the agreement has ended, and give the place back."""
    closed = Closed(plan=placed.plan, scope=placed.scope, reason=heard.reason, ended_on=heard.ended_on)
    event = told.ReferralClosed(referral_id=turn.referral_id, reason=heard.reason)
    return turn.noted(closed, event, releasing(turn.referral_id, placed, turn.given))


def climb(turn: Turn, fired: TimerFired) -> Decision:
    """Tell the next person on the ladder, or move the referral where all were told in vain."""
    referral = turn.case.referrals.get(turn.referral_id)
    here = reached(referral, turn.model, fired.due_at) if referral else None
    if referral is None or here is None:
        return Decision(turn.case)
    if here.rung.name == MOVE:
        return expired(turn, referral, here.rung.day)
    nudged = told.ReferralNudged(
        referral_id=turn.referral_id,
        organisation_id=referral.plan.organisation_id,
        step=here.step,
        rung=here.rung.name,
    )
    return Decision(turn.case, (nudged,), timers=(Timer(CLOCK, turn.referral_id, here.following),))


def _must_be_fit(organisation: object, today: date) -> None:
    if not isinstance(organisation, Organisation) or not organisation.joined:
        raise OrganisationNotJoined
    if organisation.declaration_until < today:
        raise DeclarationExpired
