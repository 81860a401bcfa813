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
from services.kernel.decider.decision import Actor, Decision, Given, Look, TimerFired
from services.kernel.errors import Missing, WrongMoment

_ENDS: Final[frozenset[type[Event]]] = frozenset(
    {ReferralRecalled, ReferralExpired, ReferralDeclined, ReferralWithdrawn, ReferralClosed}
)


def decide(case: Case | None, asked: Any, given: Given) -> Decision:
    """Return the case after `asked`, what others must hear, and what is to be kept and woken."""
    if not isinstance(asked, Struct):
        return _hear(case, asked, given)
    if case is None:
        raise Missing
    match asked:
        case GiveConsent():
            return give(case, asked, given)
        case RefuseConsent() | WithdrawConsent():
            return say_no(case, asked, given)
        case RecordCustody():
            return record_custody(case, asked, given)
        case TimerFired():
            return _wake(case, asked, given)
    raise WrongMoment(type(asked).__name__)


def allows(case: Case | None, asked: Any, given: Given) -> bool:
    """Return whether the actor may: the person who was asked, or a caseworker of the case's department."""
    actor = given.actor
    if case is None:
        # a caseworker is to hear that the case is not known here: every command on it is answered so
        return actor.role == "caseworker"
    if _is_caseworker_of(case, actor):
        return isinstance(asked, Answering | RecordCustody | Look)
    match asked:
        case GiveConsent() | RefuseConsent() | WithdrawConsent():
            return _asks(case, asked.consent_id, actor)
        case Look(what=(part,)):
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


def _hear(case: Case | None, event: Event, given: Given) -> Decision:
    """Take over what the referral service says; what does not concern consent changes nothing."""
    if isinstance(event, ConsentAwaited):
        return wait(case or Case(), event, given)
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
        return finish(Decision(case), event.referral_id, given.now)  # type: ignore[attr-defined]  # each of these names one
    if isinstance(event, CaseClosed):
        # the child grows up all the same: at eighteen nobody but they may look any more
        decision = Decision(replace(case, closed=True))
        for referral_id in case.permissions:
            decision = finish(decision, referral_id, given.now)
        return decision
    return Decision(case)


def _wake(case: Case, fired: TimerFired, given: Given) -> Decision:
    match fired.kind:
        case "age":
            return check_age(case, given)
        case "lapse":
            return lapse(case, fired.ref, given.now)
        case "expiry":
            return expire(case, fired.ref, given.now)
    return Decision(case)
