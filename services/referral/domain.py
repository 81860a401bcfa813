"""The decision: what each input does to a case, a referral, an offer, an organisation or a municipality."""

from typing import Final, TypeAlias
from uuid import UUID

from msgspec import Struct

from contracts.agreement import AgreementEnded, AgreementInForce
from contracts.consent import ConsentGranted, ConsentLost, CustodyRecorded
from contracts.event import Event
from services.kernel.decider.decision import Context, Decision, TimerFired
from services.kernel.errors import InvalidTransition, NotFound
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


def decide(state: State | None, command: Asked, context: Context) -> Decision:
    """Return the state after `asked`, and what others must hear.

    Raises `Missing` where there is no such case or referral, and a `Refused` where a rule says no; what was
    heard raises nothing: where it does not fit, the state stays.
    """
    if not isinstance(command, Struct):
        return _hear(state, command, context)
    if isinstance(command, OpenCase):
        return open_case(state, command, context)
    if isinstance(command, TimerFired):
        return (
            climb(Turn(state, command.ref, context), command) if isinstance(state, Case) else Decision(state)
        )
    if not isinstance(state, Case):
        raise NotFound
    return _obey(state, command, context)


def also(state: State | None, command: Asked) -> tuple[UUID, ...]:
    """Return the further streams that an input needs: who is asked, for what, under which model.

    Several events of one batch are decided one after the other, so what is heard names its offer whatever
    the referral's state was before the batch.
    """
    if type(command) in _OF_PLAN:
        referral = state.referrals.get(command.referral_id) if isinstance(state, Case) else None  # type: ignore[union-attr]  # each of these names one
        if referral is None:
            return ()
        plan = referral.plan
        offer = () if isinstance(command, SendReferral) else (plan.offer_id,)
        return (*offer, plan.organisation_id) if isinstance(command, SendReferral | AcceptReferral) else offer
    match command:
        case OpenCase():
            return (command.municipality_id,)
        case AssessEligibility(offer_id=UUID() as offer_id):
            return (offer_id,)
        case DraftReferral():
            return (command.offer_id, command.organisation_id)
    return ()


def _obey(case: Case, command: OfCase, context: Context) -> Decision:
    match command:
        case NoteViews():
            return note_views(case, command, context)
        case AssessEligibility():
            return assess(case, command, context)
        case DraftReferral():
            return draft(case, command, context)
        case CloseCase():
            return close(case, command, context)
    referral = case.referrals.get(command.referral_id)
    if referral is None:
        raise NotFound
    return _go_on(Turn(case, command.referral_id, context), referral, command)


def _go_on(turn: Turn, referral: Referral, command: OfReferral) -> Decision:  # noqa: PLR0911  the table of steps
    """Take one referral one step on; a step that was taken before changes nothing."""
    match referral, command:
        case Drafted(), AwaitConsent():
            return await_consent(turn, referral, command)
        case Ready(), SendReferral():
            return send(turn, referral)
        case Sent(), SeeReferral():
            return see(turn, referral)
        case ((Sent() | Seen()), AcceptReferral()):
            return accept(turn, referral)
        case ((Sent() | Seen()), DeclineReferral()):
            return decline(turn, referral, command)
        case _, RecallReferral() if isinstance(referral, Open):
            return recall(turn, referral, command)
        case ((Recalled() | Withdrawn()), ConfirmDeletion()) if (
            referral.delete_by and not referral.deleted_at
        ):
            return confirm_deletion(turn, referral)
    if _is_so(turn, referral, command):
        return Decision(turn.case)
    raise InvalidTransition(str(referral.__struct_config__.tag))


def _is_so(turn: Turn, referral: Referral, command: OfReferral) -> bool:
    """Return whether a step was taken before."""
    match referral, command:
        case AwaitingConsent(), AwaitConsent():
            return is_asked(turn, referral, command)
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


def _hear(state: State | None, heard: Event, context: Context) -> Decision:
    kind = type(heard)  # looked up: a contract's class takes its time to say what is an instance of it
    if kind in _OF_CONSENT and (state is None or isinstance(state, Case | Expected)):
        return hear_of_consent(state or Expected(), heard, context)
    if kind in _OF_AGREEMENT and isinstance(state, Case):
        return _hear_of_agreement(state, heard, context)
    return hear_directory(state, heard)


def _hear_of_agreement(case: Case, heard: Event, context: Context) -> Decision:
    match heard:
        case AgreementInForce():
            referral = case.referrals.get(heard.referral_id)
            if isinstance(referral, Accepted):
                return begin(Turn(case, heard.referral_id, context), referral)
        case AgreementEnded():
            referral = case.referrals.get(heard.referral_id)
            if isinstance(referral, Placed):
                return end(Turn(case, heard.referral_id, context), referral, heard)
    return Decision(case)
