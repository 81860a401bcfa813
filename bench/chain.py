"""Six hops through two of the real services, one event a hop: a request for consent that is recalled.

    1  consent.custody_recorded  → referral  is remembered; the caseworker asks for consent → consent_awaited
    2  referral.consent_awaited  → consent   asks the guardian                              → requested
    3  consent.requested         → referral  the caseworker notes views, two sealed texts   → views_noted
    4  referral.views_noted      → consent   custody is confirmed, name and birth sealed    → custody_recorded
    5  consent.custody_recorded  → referral  the caseworker takes the referral back         → recalled
    6  referral.recalled         → consent   closes the question

Where a person acts, the event before stands for the person's click: the command is decided by the service's
own rules when it is consumed, so that no HTTP is measured. All else is the product as it is. Each event is
consumed by one service and each service publishes one, so a case makes six deliveries and five events, as
the floor's do.
"""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid5

from contracts.consent import ConsentRequested, CustodyRecorded
from contracts.referral import CaseOpened, ConsentAwaited, ReferralRecalled, ViewsNoted
from services.consent.app import SERVICE as CONSENT
from services.consent.domain.commands import NamedHolder, RecordCustody
from services.kernel.decider.decision import Actor, Context, Decision
from services.kernel.decider.service import Service
from services.referral.app import SERVICE as REFERRAL
from services.referral.domain.commands import AwaitConsent, NoteViews, RecallReferral, View
from services.referral.domain.states import AwaitingConsent

HOPS: Final = 6
TENANT: Final = "0440"
PERSON: Final = Actor(tenant=TENANT)
BORN: Final[date] = datetime.now(UTC).date() - timedelta(days=9 * 365)
NAME: Final = "Xylla Qvorst"
_WORDS: Final = (
    "The child would like to play football on Thursdays with somebody who has time to listen. " * 4
)
_VIEWS: Final = NoteViews(child=View(answer="heard", view=_WORDS), family=View(answer="heard", view=_WORDS))


def custody_of(case_id: UUID) -> RecordCustody:
    """Return the command that puts a case's one guardian on record."""
    return _custody(uuid5(case_id, "guardian"))


def _custody(guardian: UUID) -> RecordCustody:
    return RecordCustody((NamedHolder(guardian, NAME, True, "da"),), BORN)  # noqa: FBT003  who the child lives with


def _by_person(context: Context) -> Context:
    return Context(context.now, context.stream_id, context.tenant, PERSON, context.models, context.others)


def _referral_with_caseworker(state: Any, trigger: Any, context: Context) -> Decision:
    """Decide as the referral service does, with a caseworker who asks for consent, and takes it all back."""
    kind = type(trigger)
    if kind is ConsentRequested:
        return REFERRAL.decide(state, _VIEWS, _by_person(context))
    decision = REFERRAL.decide(state, trigger, context)
    if kind is CustodyRecorded:
        ((referral_id, referral),) = decision.state.referrals.items()
        waits = isinstance(referral, AwaitingConsent)
        step = RecallReferral(referral_id, "need_changed") if waits else AwaitConsent(referral_id, ())
        return REFERRAL.decide(decision.state, step, _by_person(context))
    return decision


def _consent_with_caseworker(state: Any, trigger: Any, context: Context) -> Decision:
    """Decide as the consent service does, with a caseworker who confirms custody when views are noted."""
    if type(trigger) is ViewsNoted:
        (guardian,) = state.custody.holders
        return CONSENT.decide(state, _custody(guardian), _by_person(context))
    return CONSENT.decide(state, trigger, context)


CHAIN: Final[dict[str, Service]] = {
    "referral": replace(
        REFERRAL, decide=_referral_with_caseworker, subscribes_to=(CustodyRecorded, ConsentRequested)
    ),
    "consent": replace(
        CONSENT,
        decide=_consent_with_caseworker,
        subscribes_to=(CaseOpened, ConsentAwaited, ViewsNoted, ReferralRecalled),
    ),
}
"""The two services, subscribed to each other alone."""

ENDS: Final = {"referral": 7, "consent": 3}
"""How many events of a case each service has published at the end, those of its opening included."""
