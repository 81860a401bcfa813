"""State machines of the service, as tables: referral, case, offer, organisation, municipality."""

from typing import Final, TypeAlias
from uuid import UUID

from msgspec import Struct

from contracts.agreement import AgreementEnded, AgreementInForce
from contracts.consent import ConsentGranted, ConsentLost, CustodyRecorded
from contracts.directory import (
    CapacityChanged,
    DepartmentRegistered,
    ModelAdopted,
    OfferPublished,
    OrganisationJoined,
    OrganisationLeft,
)
from contracts.event import Event
from services.kernel.decider.decision import Context, Decision, TimerFired
from services.kernel.decider.lifecycle import ABSENT, Lifecycle, row, timer_row
from services.kernel.errors import InvalidTransition, NotFound
from services.referral.domain.commands import (
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
from services.referral.domain.deadlines import DEADLINE
from services.referral.domain.refusals import CaseExists
from services.referral.domain.states import (
    Accepted,
    AwaitingConsent,
    Case,
    Closed,
    Declined,
    Drafted,
    Expected,
    Expired,
    Municipality,
    Offer,
    Organisation,
    Ready,
    Recalled,
    Referral,
    Seen,
    Sent,
    State,
    UnderWay,
    Withdrawn,
)
from services.referral.domain.steps.case import assess, close, draft, note_views, open_again, open_case
from services.referral.domain.steps.consent import (
    await_again,
    await_consent,
    grant,
    lapse,
    record_consent,
    record_custody,
    withdraw,
)
from services.referral.domain.steps.directory import (
    adopt_model,
    change_capacity,
    join,
    leave,
    publish_offer,
    register_department,
)
from services.referral.domain.steps.escalation import escalate
from services.referral.domain.steps.referral import (
    accept,
    begin,
    confirm_deletion,
    decline,
    end,
    recall,
    see,
    send,
    unchanged,
)
from services.referral.domain.transition import DocumentTransition, transition_of

Trigger: TypeAlias = Command | Event | TimerFired

REFERRAL: Final = Lifecycle(
    "referral",
    (
        Drafted, AwaitingConsent, Ready, Sent, Seen, Accepted, UnderWay,
        Closed, Declined, Recalled, Withdrawn, Expired,
    ),
    on_command=(
        # an answer may be on record before the request: then it is applied at once
        row(Drafted, AwaitConsent, await_consent, AwaitingConsent, Ready, Withdrawn, Expired),
        row(Drafted, RecallReferral, recall, Recalled),
        row(AwaitingConsent, AwaitConsent, await_again),
        row(AwaitingConsent, RecallReferral, recall, Recalled),
        row(Ready, SendReferral, send, Sent),
        row(Ready, RecallReferral, recall, Recalled),
        row(Sent, SendReferral, unchanged),
        row(Sent, SeeReferral, see, Seen),
        row(Sent, AcceptReferral, accept, Accepted),
        row(Sent, DeclineReferral, decline, Declined),
        row(Sent, RecallReferral, recall, Recalled),
        row(Seen, SeeReferral, unchanged),
        row(Seen, AcceptReferral, accept, Accepted),
        row(Seen, DeclineReferral, decline, Declined),
        row(Seen, RecallReferral, recall, Recalled),
        row(Accepted, AcceptReferral, unchanged),
        row(Accepted, RecallReferral, recall, Recalled),
        row(UnderWay, RecallReferral, recall, Recalled),
        row(Declined, DeclineReferral, unchanged),
        row(Recalled, RecallReferral, unchanged),
        row(Recalled, ConfirmDeletion, confirm_deletion),
        row(Withdrawn, ConfirmDeletion, confirm_deletion),
    ),
    on_event=(
        row(AwaitingConsent, ConsentGranted, grant, AwaitingConsent, Ready),
        row(AwaitingConsent, ConsentLost, lapse, Withdrawn, Expired),
        row(Ready, ConsentLost, withdraw, Withdrawn),
        row(Sent, ConsentLost, withdraw, Withdrawn),
        row(Seen, ConsentLost, withdraw, Withdrawn),
        row(Accepted, ConsentLost, withdraw, Withdrawn),
        row(Accepted, AgreementInForce, begin, UnderWay),
        row(Accepted, AgreementEnded, end, Closed),
        row(UnderWay, ConsentLost, withdraw, Withdrawn),
        row(UnderWay, AgreementEnded, end, Closed),
        row(Closed, ConsentLost, withdraw, Withdrawn),
    ),
    on_timer=(
        timer_row(AwaitingConsent, DEADLINE, escalate, AwaitingConsent, Expired),
        timer_row(Ready, DEADLINE, escalate),
        timer_row(Sent, DEADLINE, escalate, Sent, Expired),
        timer_row(Seen, DEADLINE, escalate, Seen, Expired),
        timer_row(Recalled, DEADLINE, escalate),
        timer_row(Withdrawn, DEADLINE, escalate),
    ),
)  # fmt: skip
"""The twelve states of a referral inside its case."""

CASE: Final = Lifecycle(
    "case",
    (Expected, Case),
    on_command=(
        row(ABSENT, OpenCase, open_case, Case),
        row(Expected, OpenCase, open_case, Case),
        row(Case, OpenCase, open_again),
        row(Case, NoteViews, note_views),
        row(Case, AssessEligibility, assess),
        row(Case, DraftReferral, draft),
        row(Case, CloseCase, close),
    ),
    on_event=(
        row(ABSENT, CustodyRecorded, record_custody, Expected),
        row(ABSENT, ConsentGranted, record_consent, Expected),
        row(ABSENT, ConsentLost, record_consent, Expected),
        row(Expected, CustodyRecorded, record_custody),
        row(Expected, ConsentGranted, record_consent),
        row(Expected, ConsentLost, record_consent),
        row(Case, CustodyRecorded, record_custody),
        row(Case, ConsentGranted, record_consent),
        row(Case, ConsentLost, record_consent),
    ),
)

OFFER: Final = Lifecycle(
    "offer",
    (Offer,),
    on_event=(
        row(ABSENT, OfferPublished, publish_offer, Offer),
        row(Offer, OfferPublished, publish_offer),
        row(Offer, CapacityChanged, change_capacity),
    ),
)

ORGANISATION: Final = Lifecycle(
    "organisation",
    (Organisation,),
    on_event=(
        row(ABSENT, OrganisationJoined, join, Organisation),
        row(Organisation, OrganisationJoined, join),
        row(Organisation, OrganisationLeft, leave),
    ),
)

MUNICIPALITY: Final = Lifecycle(
    "municipality",
    (Municipality,),
    on_event=(
        row(ABSENT, ModelAdopted, adopt_model, Municipality),
        row(Municipality, ModelAdopted, adopt_model),
        row(Municipality, DepartmentRegistered, register_department),
    ),
)

LIFECYCLES: Final = (REFERRAL, CASE, OFFER, ORGANISATION, MUNICIPALITY)

_DOCUMENTS: Final = {line.trigger: machine for machine in LIFECYCLES[1:] for line in machine.rows}
"""The machine of a whole document that a kind of command or event belongs to."""

_RECORDED_FIRST: Final[frozenset[type]] = frozenset({ConsentGranted, ConsentLost})
"""Events that the case records, whatever its referral then does."""

_NEED_ORGANISATION: Final[frozenset[type]] = frozenset({SendReferral, AcceptReferral})
_NEED_OFFER: Final[frozenset[type]] = frozenset({AcceptReferral, RecallReferral, ConsentLost, AgreementEnded})


def decide(state: State | None, trigger: Trigger, context: Context) -> Decision:
    """Return the state after a command, an event or a fired timer, and the events for other services.

    Raises `NotFound` where there is no such case or referral, and a `Refused` where a rule refuses a command.
    An event or a timer raises nothing: where it has no step, the state stays.
    """
    machine = _DOCUMENTS.get(type(trigger))
    step = machine.step(state, trigger) if machine else None
    if step is not None:
        decision = step(DocumentTransition(context), state, trigger)
        if type(trigger) not in _RECORDED_FIRST:
            return decision
        state = decision.state
    referral_id, referral = _referral_of(state, trigger)
    step = REFERRAL.step(referral, trigger)
    if step is not None and isinstance(state, Case):
        return step(transition_of(state, referral_id, context), referral, trigger)
    if isinstance(trigger, Struct) and not isinstance(trigger, TimerFired):
        raise _refusal(state, referral, trigger)
    return Decision(state)


def related_streams(state: State | None, trigger: Trigger) -> tuple[UUID, ...]:
    """Return the further streams that a decision needs: the municipality, the offer, the organisation.

    Several events of one batch are decided one after the other, so an event names the offer of its referral
    whatever state the referral had before the batch.
    """
    kind = type(trigger)  # looked up: isinstance is slow for the classes of events
    if kind in _NEED_OFFER or kind in _NEED_ORGANISATION:
        _, referral = _referral_of(state, trigger)
        if referral is None:
            return ()
        offer = (referral.plan.offer_id,) if kind in _NEED_OFFER else ()
        return (*offer, referral.plan.organisation_id) if kind in _NEED_ORGANISATION else offer
    match trigger:
        case OpenCase():
            return (trigger.municipality_id,)
        case AssessEligibility(offer_id=UUID() as offer_id):
            return (offer_id,)
        case DraftReferral():
            return (trigger.municipality_id, trigger.offer_id, trigger.organisation_id)
        case _:
            return ()


def _referral_of(state: State | None, trigger: Trigger) -> tuple[UUID, Referral | None]:
    """Return the referral that a trigger is about, and its state; None where there is none."""
    referral_id = trigger.ref if isinstance(trigger, TimerFired) else getattr(trigger, "referral_id", None)
    if referral_id is None or not isinstance(state, Case):
        return UUID(int=0), None
    return referral_id, state.referrals.get(referral_id)


def _refusal(state: State | None, referral: Referral | None, command: Command) -> Exception:
    if isinstance(command, OpenCase):
        return CaseExists()
    if not isinstance(state, Case) or referral is None:
        return NotFound()
    return InvalidTransition(str(referral.__struct_config__.tag))
