"""The rules of consent: no fact about a child reaches an organisation unless all who must have said yes."""

from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from contracts.event import Event
from contracts.referral import (
    CaseClosed,
    CaseOpened,
    ConsentAwaited,
    ReferralClosed,
    ReferralDeclined,
    ReferralExpired,
    ReferralRecalled,
    ReferralWithdrawn,
)
from services.consent.domain_answers import (
    Answering,
    GiveConsent,
    RefuseConsent,
    WithdrawConsent,
    give,
    say_no,
)
from services.consent.domain_custody import RecordCustody, check_age, record_custody
from services.consent.domain_permission import expire, finish, lapse, wait
from services.consent.domain_states import Case
from services.kernel.decider.decision import Actor, Context, Decision, ReadRequest, TimerFired
from services.kernel.errors import InvalidTransition, NotFound

_ENDS: Final[frozenset[type[Event]]] = frozenset(
    {ReferralRecalled, ReferralExpired, ReferralDeclined, ReferralWithdrawn, ReferralClosed}
)


def decide(case: Case | None, trigger: Any, context: Context) -> Decision:
    """Return the case after `asked`, what others must hear, and what is to be kept and woken."""
    if not isinstance(trigger, Struct):
        return _hear(case, trigger, context)
    if case is None:
        raise NotFound
    match trigger:
        case GiveConsent():
            return give(case, trigger, context)
        case RefuseConsent() | WithdrawConsent():
            return say_no(case, trigger, context)
        case RecordCustody():
            return record_custody(case, trigger, context)
        case TimerFired():
            return _wake(case, trigger, context)
    raise InvalidTransition(type(trigger).__name__)


def allows(case: Case | None, trigger: Any, context: Context) -> bool:
    """Return whether the actor may: the person who was asked, or a caseworker of the case's department."""
    actor = context.actor
    if case is None:
        # a caseworker is to hear that the case is not known here: every command on it is answered so
        return actor.role == "caseworker"
    if _is_caseworker_of(case, actor):
        return isinstance(trigger, Answering | RecordCustody | ReadRequest)
    match trigger:
        case GiveConsent() | RefuseConsent() | WithdrawConsent():
            return _asks(case, trigger.consent_id, actor)
        case ReadRequest(what=(part,)):
            return any(
                part == receipt_part(consent_id) and _asks(case, consent_id, actor)
                for consent_id in case.consents
            )
    return False


def receipt_part(consent_id: UUID) -> str:
    """Return how a look names the receipt of one consent."""
    return f"receipt_{consent_id.hex}"


def _is_caseworker_of(case: Case, actor: Actor) -> bool:
    return (
        actor.role == "caseworker"
        and case.department_id is not None
        and actor.department_id == case.department_id
    )


def _asks(case: Case, consent_id: UUID, actor: Actor) -> bool:
    consent = case.consents.get(consent_id)
    return (
        consent is not None
        and actor.role in ("guardian", "young_person")
        and consent.question.person_id == actor.id
    )


def _hear(case: Case | None, event: Event, context: Context) -> Decision:
    """Take over what the referral service says; what does not concern consent changes nothing."""
    if isinstance(event, ConsentAwaited):
        return wait(case or Case(), event, context)
    if isinstance(event, CaseOpened):
        return Decision(
            replace(
                case or Case(),
                department_id=event.department_id,
                caseworker_id=event.caseworker_id,
                model=f"{event.model}/{event.model_version}",
            )
        )
    if case is None:
        return Decision(None)
    if type(event) in _ENDS:  # looked up: a contract's class takes its time to say what is an instance of it
        return finish(Decision(case), event.referral_id, context.now)  # type: ignore[attr-defined]  # each of these names one
    if isinstance(event, CaseClosed):
        # the child grows up all the same: at eighteen nobody but they may look any more
        decision = Decision(replace(case, closed=True))
        for referral_id in case.permissions:
            decision = finish(decision, referral_id, context.now)
        return decision
    return Decision(case)


def _wake(case: Case, fired: TimerFired, context: Context) -> Decision:
    match fired.kind:
        case "age":
            return check_age(case, context)
        case "lapse":
            return lapse(case, fired.ref, context.now)
        case "expiry":
            return expire(case, fired.ref, context.now)
    return Decision(case)
