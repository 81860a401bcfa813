"""What a referral's consent does to it: awaited, granted, lost."""

from datetime import date
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from contracts import referral as told
from contracts.consent import ConsentGranted, ConsentLost, CustodyRecorded
from contracts.event import Event
from contracts.model import CollaborationModel
from services.kernel.decider.decision import Context, Decision
from services.referral.domain_commands import AwaitConsent
from services.referral.domain_eligibility import known
from services.referral.domain_places import releasing
from services.referral.domain_refusals import CodeUnknown, NotEligible
from services.referral.domain_states import (
    AwaitingConsent,
    Case,
    Closed,
    Consent,
    Custody,
    Drafted,
    Expected,
    Expired,
    Granted,
    Lost,
    Plan,
    Ready,
    Referral,
    Scope,
    Shared,
    Withdrawn,
)
from services.referral.domain_turn import Turn
from services.referral.timers import rungs_of

LAPSED: Final = "lapsed"
"""The consent service's word for a question that nobody answered in time."""


def await_consent(turn: Turn, drafted: Drafted, command: AwaitConsent) -> Decision:
    """Ask all who must consent, and go on at once where their answer was heard before the question."""
    case = turn.case
    if case.eligibility is None or not case.eligibility.eligible:
        raise NotEligible
    waiting = AwaitingConsent(
        plan=drafted.plan,
        scope=_scope(drafted.plan, command, turn.model),
        remind_on=turn.due_in(turn.model.deadlines.consent_remind),
        lapse_on=turn.due_in(turn.model.deadlines.consent_lapse),
    )
    awaited = told.ConsentAwaited(
        referral_id=turn.referral_id,
        organisation_id=drafted.plan.organisation_id,
        purpose=waiting.scope.purpose,
        facts=waiting.scope.facts,
        model=case.model,
        model_version=case.model_version,
        awaited_at=turn.given.now,
        remind_on=waiting.remind_on,
        lapse_on=waiting.lapse_on,
    )
    asking = turn.moved(waiting, awaited)
    answer = _answer(Turn(asking.state, turn.referral_id, turn.given))
    return Decision(answer.state, asking.events + answer.events, asking.timers + answer.timers)


def is_asked(turn: Turn, waiting: AwaitingConsent, command: AwaitConsent) -> bool:
    """Return whether just this is asked for already; other facts are another question, and never mixed in."""
    return _scope(waiting.plan, command, turn.model) == waiting.scope


def hear_of_consent(state: Case | Expected, heard: Event, context: Context) -> Decision:
    """Remember what was said, and let the referral that it is about go on or stop."""
    match heard:
        case ConsentGranted():
            scope = Scope(heard.purpose, heard.facts)
            granted = Granted(heard.organisation_id, scope, heard.until)
            return _known_of(state, heard.referral_id, granted, context)
        case ConsentLost():
            return _known_of(state, heard.referral_id, Lost(heard.reason), context)
        case CustodyRecorded():
            return Decision(replace(state, custody=Custody(heard.holder_ids, heard.young_person_id)))
    return Decision(state)


def expired(turn: Turn, referral: Referral, day: date) -> Decision:
    """End a referral that nobody answered by a day."""
    step, _ = rungs_of(referral, turn.model)
    over = Expired(plan=referral.plan, step=step, expired_on=day)
    event = told.ReferralExpired(
        referral_id=turn.referral_id, organisation_id=referral.plan.organisation_id, step=step
    )
    return turn.moved(over, event)


def _scope(plan: Plan, command: AwaitConsent, model: CollaborationModel) -> Scope:
    """Return what is asked for: the chosen facts, and those without which no referral is understood."""
    purpose = command.purpose or plan.purposes[0]
    if purpose not in plan.purposes:
        raise CodeUnknown(purpose)
    for fact in command.facts:
        known(fact, model.facts)
    return Scope(
        purpose, tuple(fact.code for fact in model.facts if fact.always or fact.code in command.facts)
    )


def _known_of(state: Case | Expected, referral_id: UUID, consent: Consent, context: Context) -> Decision:
    state = replace(state, consents={**state.consents, referral_id: consent})
    return _answer(Turn(state, referral_id, context)) if isinstance(state, Case) else Decision(state)


def _answer(turn: Turn) -> Decision:
    """Hold what is known of the consent against the referral, if it is known here."""
    referral = turn.case.referrals.get(turn.referral_id)
    match turn.case.consents.get(turn.referral_id):
        case Granted() if isinstance(referral, AwaitingConsent) and turn.covers(referral):
            return _ready(turn, referral)
        case Lost(reason=reason):
            if isinstance(referral, AwaitingConsent) and reason == LAPSED:
                return expired(turn, referral, referral.lapse_on)
            # a closed one too: whether the agreement's end or the consent's is heard first must not matter
            if isinstance(referral, AwaitingConsent | Ready | Shared | Closed):
                return _withdrawn(turn, referral, reason)
    return Decision(turn.case)


def _ready(turn: Turn, waiting: AwaitingConsent) -> Decision:
    send_by = turn.due_in(turn.model.deadlines.send)
    ready = Ready(plan=waiting.plan, scope=waiting.scope, send_by=send_by)
    return turn.moved(ready, told.ReferralReady(referral_id=turn.referral_id, send_by=send_by))


def _withdrawn(turn: Turn, referral: AwaitingConsent | Ready | Shared | Closed, reason: str) -> Decision:
    delete_by = turn.due_in(turn.model.deadlines.delete_confirm)
    stopped = Withdrawn(
        plan=referral.plan,
        reason=reason,
        withdrawn_at=turn.given.now,
        delete_by=None if isinstance(referral, AwaitingConsent | Ready) else delete_by,
    )
    event = told.ReferralWithdrawn(
        referral_id=turn.referral_id,
        organisation_id=referral.plan.organisation_id,
        reason=reason,
        delete_by=delete_by,
    )
    return turn.moved(stopped, event, releasing(turn.referral_id, referral, turn.given))
