"""The decision: what each input does to a case, a referral, an offer, an organisation or a municipality."""

from typing import Final, TypeAlias
from uuid import UUID

from msgspec import Struct

from contracts.agreement import AgreementEnded, AgreementInForce
from contracts.consent import ConsentGranted, ConsentLost, CustodyRecorded
from contracts.event import Event
from services.kernel.decider.decision import Decision, Given, TimerFired
from services.kernel.errors import Missing, WrongMoment
from services.referral.domain_case import assess, close, draft, note_views, open_case
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
    OfCase,
    OfReferral,
    OpenCase,
    RecallReferral,
    SeeReferral,
    SendReferral,
)
from services.referral.domain_consent import await_consent, hear_of_consent, is_asked
from services.referral.domain_places import hear_directory
from services.referral.domain_referral import (
    accept,
    begin,
    climb,
    confirm_deletion,
    decline,
    end,
    recall,
    see,
    send,
)
from services.referral.domain_states import (
    Accepted,
    AwaitingConsent,
    Case,
    Declined,
    Drafted,
    Expected,
    Open,
    Placed,
    Ready,
    Recalled,
    Referral,
    Seen,
    Sent,
    State,
    Withdrawn,
)
from services.referral.domain_turn import Turn

Asked: TypeAlias = Command | TimerFired | Event

_OF_CONSENT: Final[frozenset[type[Event]]] = frozenset({ConsentGranted, ConsentLost, CustodyRecorded})
_OF_PLAN: Final[frozenset[type]] = frozenset(
    {SendReferral, AcceptReferral, RecallReferral, ConsentLost, AgreementEnded}
)
_OF_AGREEMENT: Final[frozenset[type[Event]]] = frozenset({AgreementInForce, AgreementEnded})


def decide(state: State | None, asked: Asked, given: Given) -> Decision:
    """Return the state after `asked`, and what others must hear.

    Raises `Missing` where there is no such case or referral, and a `Refused` where a rule says no; what was
    heard raises nothing: where it does not fit, the state stays.
    """
    if not isinstance(asked, Struct):
        return _hear(state, asked, given)
    if isinstance(asked, OpenCase):
        return open_case(state, asked, given)
    if isinstance(asked, TimerFired):
        return climb(Turn(state, asked.ref, given), asked) if isinstance(state, Case) else Decision(state)
    if not isinstance(state, Case):
        raise Missing
    return _obey(state, asked, given)


def also(state: State | None, asked: Asked) -> tuple[UUID, ...]:
    """Return the further streams that an input needs: who is asked, for what, under which model.

    Several events of one batch are decided one after the other, so what is heard names its offer whatever
    the referral's state was before the batch.
    """
    if type(asked) in _OF_PLAN:
        referral = state.referrals.get(asked.referral_id) if isinstance(state, Case) else None  # type: ignore[union-attr]  # each of these names one
        if referral is None:
            return ()
        plan = referral.plan
        offer = () if isinstance(asked, SendReferral) else (plan.offer_id,)
        return (*offer, plan.organisation_id) if isinstance(asked, SendReferral | AcceptReferral) else offer
    match asked:
        case OpenCase():
            return (asked.municipality_id,)
        case AssessEligibility(offer_id=UUID() as offer_id):
            return (offer_id,)
        case DraftReferral():
            return (asked.offer_id, asked.organisation_id)
    return ()


def _obey(case: Case, asked: OfCase, given: Given) -> Decision:
    match asked:
        case NoteViews():
            return note_views(case, asked, given)
        case AssessEligibility():
            return assess(case, asked, given)
        case DraftReferral():
            return draft(case, asked, given)
        case CloseCase():
            return close(case, asked, given)
    referral = case.referrals.get(asked.referral_id)
    if referral is None:
        raise Missing
    return _go_on(Turn(case, asked.referral_id, given), referral, asked)


def _go_on(turn: Turn, referral: Referral, asked: OfReferral) -> Decision:  # noqa: PLR0911  the table of steps
    """Take one referral one step on; a step that was taken before changes nothing."""
    match referral, asked:
        case Drafted(), AwaitConsent():
            return await_consent(turn, referral, asked)
        case Ready(), SendReferral():
            return send(turn, referral)
        case Sent(), SeeReferral():
            return see(turn, referral)
        case ((Sent() | Seen()), AcceptReferral()):
            return accept(turn, referral)
        case ((Sent() | Seen()), DeclineReferral()):
            return decline(turn, referral, asked)
        case _, RecallReferral() if isinstance(referral, Open):
            return recall(turn, referral, asked)
        case ((Recalled() | Withdrawn()), ConfirmDeletion()) if (
            referral.delete_by and not referral.deleted_at
        ):
            return confirm_deletion(turn, referral)
    if _is_so(turn, referral, asked):
        return Decision(turn.case)
    raise WrongMoment(str(referral.__struct_config__.tag))


def _is_so(turn: Turn, referral: Referral, asked: OfReferral) -> bool:
    """Return whether a step was taken before."""
    match referral, asked:
        case AwaitingConsent(), AwaitConsent():
            return is_asked(turn, referral, asked)
        case (
            (Sent(), SendReferral())
            | (Seen(), SeeReferral())
            | (Accepted(), AcceptReferral())
            | (Declined(), DeclineReferral())
            | (Recalled(), RecallReferral())
        ):
            return True
        case ((Recalled() | Withdrawn()), ConfirmDeletion()):
            return referral.deleted_at is not None
    return False


def _hear(state: State | None, heard: Event, given: Given) -> Decision:
    kind = type(heard)  # looked up: a contract's class takes its time to say what is an instance of it
    if kind in _OF_CONSENT and (state is None or isinstance(state, Case | Expected)):
        return hear_of_consent(state or Expected(), heard, given)
    if kind in _OF_AGREEMENT and isinstance(state, Case):
        return _hear_of_agreement(state, heard, given)
    return hear_directory(state, heard)


def _hear_of_agreement(case: Case, heard: Event, given: Given) -> Decision:
    match heard:
        case AgreementInForce():
            referral = case.referrals.get(heard.referral_id)
            if isinstance(referral, Accepted):
                return begin(Turn(case, heard.referral_id, given), referral)
        case AgreementEnded():
            referral = case.referrals.get(heard.referral_id)
            if isinstance(referral, Placed):
                return end(Turn(case, heard.referral_id, given), referral, heard)
    return Decision(case)
