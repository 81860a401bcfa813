"""Steps of a case on events: record what an event says of the parties, then send the notices that follow."""

from msgspec.structs import replace

from contracts import agreement, consent, referral
from contracts.event import Event
from services.kernel.decider.decision import Decision
from services.notify.domain.states import Answered, Case, ConsentRequest, Custody, Share
from services.notify.domain.steps.rules import notifications_of
from services.notify.domain.steps.sending import with_notifications
from services.notify.domain.transition import Transition

End = (
    referral.ReferralDeclined
    | referral.ReferralRecalled
    | referral.ReferralWithdrawn
    | referral.ReferralExpired
    | agreement.AgreementEnded
)


def notify(transition: Transition, _before: Case | None, event: Event) -> Decision:
    """Add the event's notifications to the case, and send the notices that now follow."""
    return _notified(transition, transition.case, event)


def record_parties(transition: Transition, _before: Case | None, event: referral.CaseOpened) -> Decision:
    """Record the caseworker, and the department whose leader stands behind."""
    case = replace(transition.case, caseworker_id=event.caseworker_id, department_id=event.department_id)
    return _notified(transition, case, event)


def record_sending(transition: Transition, _before: Case | None, event: referral.ReferralSent) -> Decision:
    """Record that a referral was sent: only then is its end any business of the organisation."""
    case = transition.case
    return _notified(transition, replace(case, sent=case.sent | {event.referral_id}), event)


def record_end(transition: Transition, _before: Case | None, event: End) -> Decision:
    """Record that a referral, or its agreement, is over: the organisation sees no more of it anywhere."""
    case = transition.case
    return _notified(transition, replace(case, over=case.over | {event.referral_id}), event)


def record_agreement(
    transition: Transition, _before: Case | None, event: agreement.MeetingInvited
) -> Decision:
    """Record which referral an agreement grew out of."""
    case = transition.case
    agreements = {**case.agreements, event.agreement_id: event.referral_id}
    return _notified(transition, replace(case, agreements=agreements), event)


def record_custody(transition: Transition, _before: Case | None, event: consent.CustodyRecorded) -> Decision:
    """Record who holds parental responsibility, or has an own say, from now on."""
    case = transition.case
    young = () if event.young_person_id is None else (event.young_person_id,)
    custody = Custody(transition.context.now, tuple(dict.fromkeys((*event.holder_ids, *young))))
    return _notified(transition, replace(case, custody=(*case.custody, custody)), event)


def record_request(transition: Transition, _before: Case | None, event: consent.ConsentRequested) -> Decision:
    """Record that a person's consent was requested."""
    case = transition.case
    request = ConsentRequest(event.referral_id, event.holder_id, transition.context.now)
    return _notified(transition, replace(case, requests={**case.requests, event.consent_id: request}), event)


def record_answer(
    transition: Transition,
    _before: Case | None,
    event: consent.ConsentMinuted | consent.ConsentGiven | consent.ConsentRefused,
) -> Decision:
    """Record when a request was answered: this person needs no reminder."""
    case = transition.case
    request = case.requests.get(event.consent_id)
    if request is not None and not request.is_answered:
        answered = replace(request, answers=(*request.answers, Answered(transition.context.now)))
        case = replace(case, requests={**case.requests, event.consent_id: answered})
    return _notified(transition, case, event)


def record_share(
    transition: Transition, _before: Case | None, event: consent.ConsentGranted | consent.ConsentLost
) -> Decision:
    """Record whether the organisation may know of the referral from now on."""
    case = transition.case
    opens = isinstance(event, consent.ConsentGranted)
    earlier = case.shares.get(event.referral_id)
    share = Share(event.organisation_id, opens, opens or (earlier is not None and earlier.was_open))
    return _notified(transition, replace(case, shares={**case.shares, event.referral_id: share}), event)


def record_doubt(transition: Transition, _before: Case | None, event: consent.ConsentUnconfirmed) -> Decision:
    """Record that an answer did not count: from now on the person is to be reminded again."""
    case = transition.case
    request = case.requests.get(event.consent_id)
    if request is not None and request.is_answered:
        ended = replace(request.answers[-1], until=transition.context.now)
        asked = replace(request, answers=(*request.answers[:-1], ended))
        case = replace(case, requests={**case.requests, event.consent_id: asked})
    return _notified(transition, case, event)


def _notified(transition: Transition, case: Case, event: Event) -> Decision:
    context = transition.context
    new = dict(notifications_of(case, event, context.stream_id, context.now))
    return with_notifications(case, context.stream_id, new, by=context.actor.id)
