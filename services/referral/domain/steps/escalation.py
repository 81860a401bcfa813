"""Steps of a referral's deadline: the next person is notified, or the referral expires; pure."""

from datetime import date

from contracts.referral import ReferralExpired, ReferralNudged
from services.kernel.decider.decision import Decision, Timer, TimerFired
from services.kernel.decider.escalation import AUTOMATIC, due_step
from services.referral.domain.deadlines import DEADLINE, escalation_of
from services.referral.domain.states import AwaitingConsent, Expired, Ready, Recalled, Seen, Sent, Withdrawn
from services.referral.domain.transition import Transition


def escalate(
    transition: Transition,
    before: AwaitingConsent | Ready | Sent | Seen | Recalled | Withdrawn,
    fired: TimerFired,
) -> Decision:
    """Notify the next person on the ladder, or end the referral where all steps have passed in silence."""
    waits_for, steps = escalation_of(before, transition.model, transition.calendar)
    step = due_step(steps, fired.due_at)
    if step is None:
        return Decision(transition.case)
    if step.name == AUTOMATIC and isinstance(before, AwaitingConsent | Sent | Seen):
        return expire(transition, before, transition.calendar.today(step.at))
    nudged = ReferralNudged(
        referral_id=transition.referral_id,
        organisation_id=before.plan.organisation_id,
        step=waits_for,
        rung=step.name,
    )
    timer = Timer(DEADLINE, transition.referral_id, step.following)
    return Decision(transition.case, (nudged,), timers=(timer,))


def expire(transition: Transition, before: AwaitingConsent | Sent | Seen, day: date) -> Decision:
    """End a referral that got no answer by a day."""
    waits_for, _ = escalation_of(before, transition.model, transition.calendar)
    event = ReferralExpired(
        referral_id=transition.referral_id, organisation_id=before.plan.organisation_id, step=waits_for
    )
    return transition.moved(Expired(plan=before.plan, step=waits_for, expired_on=day), event)
