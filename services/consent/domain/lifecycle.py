"""State machines of consent: the case, the permission of each referral, and the record of each person.

A machine answers to commands, to events of the referral service, to timers, and to the events of the other
two: a no that is put on record loses the permission, and a permission that is lost ends the other records.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from contracts.consent import (
    ConsentExpired,
    ConsentGiven,
    ConsentLost,
    ConsentRefused,
    ConsentRequested,
    ConsentWithdrawn,
    CustodyConfirmed,
    CustodyRecorded,
)
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
from services.consent.domain.commands import (
    ConfirmConsent,
    ConfirmCustody,
    GiveConsent,
    No,
    RecordCustody,
    RefuseConsent,
    RejectConsent,
    WithdrawConsent,
)
from services.consent.domain.deadlines import AGE, CONFIRM, EXPIRY, LAPSE
from services.consent.domain.states import (
    Awaited,
    Case,
    Expired,
    Given,
    Granted,
    Invalidated,
    Lost,
    Minuted,
    Over,
    Refused,
    Requested,
    Withdrawn,
)
from services.consent.domain.steps import consents, custody, permissions
from services.consent.domain.transition import Transition
from services.kernel.decider.decision import Context, Decision, TimerFired
from services.kernel.decider.lifecycle import ABSENT, Lifecycle, row, timer_row
from services.kernel.errors import InvalidTransition, NotFound

COMMANDS: Final = (
    RecordCustody,
    ConfirmCustody,
    GiveConsent,
    ConfirmConsent,
    RejectConsent,
    RefuseConsent,
    WithdrawConsent,
)
SAYING_NO: Final[tuple[type[No], ...]] = (RefuseConsent, WithdrawConsent)
ENDS: Final[tuple[type[Event], ...]] = (
    ReferralRecalled,
    ReferralExpired,
    ReferralDeclined,
    ReferralWithdrawn,
    ReferralClosed,
)
"""The events by which one referral is over."""
ALL_ENDS: Final[tuple[type[Event], ...]] = (*ENDS, CaseClosed)

CASE: Final = Lifecycle(
    "case",
    (Case,),
    on_command=(
        row(Case, RecordCustody, custody.record_custody),
        row(Case, ConfirmCustody, custody.confirm_custody),
    ),
    on_event=(
        row(ABSENT, CaseOpened, custody.open_case, Case),
        row(Case, CaseOpened, custody.open_case),
        row(Case, CaseClosed, custody.close_case),
    ),
    on_timer=(timer_row(Case, AGE, custody.check_age),),
)

PERMISSION: Final = Lifecycle(
    "permission",
    (Awaited, Granted, Lost, Over),
    on_event=(
        row(ABSENT, ConsentAwaited, permissions.wait, Awaited),
        row(Awaited, CustodyRecorded, permissions.review, Awaited, Granted),
        row(Awaited, CustodyConfirmed, permissions.grant, Awaited, Granted),
        row(Awaited, ConsentGiven, permissions.grant, Awaited, Granted),
        row(Awaited, ConsentRefused, permissions.stop, Lost),
        row(Awaited, ConsentWithdrawn, permissions.stop, Lost),
        row(Awaited, ConsentExpired, permissions.end_with_consent, Awaited, Lost),
        *(row(Awaited, end, permissions.finish, Over) for end in ALL_ENDS),
        row(Granted, CustodyRecorded, permissions.confirm, Granted, Lost),
        row(Granted, ConsentRefused, permissions.stop, Lost),
        row(Granted, ConsentWithdrawn, permissions.stop, Lost),
        row(Granted, ConsentExpired, permissions.end_with_consent, Lost),
        *(row(Granted, end, permissions.finish, Over) for end in ALL_ENDS),
    ),
    on_timer=(timer_row(Awaited, LAPSE, permissions.lapse, Lost),),
)

CONSENT: Final = Lifecycle(
    "consent",
    (Requested, Minuted, Given, Refused, Withdrawn, Expired, Invalidated),
    on_command=(
        row(Requested, GiveConsent, consents.give, Minuted, Given),
        row(Requested, RejectConsent, consents.already_so),
        *(row(Requested, no, consents.refuse, Refused) for no in SAYING_NO),
        row(Minuted, GiveConsent, consents.give, Minuted, Given),
        row(Minuted, ConfirmConsent, consents.confirm, Given),
        row(Minuted, RejectConsent, consents.reject, Requested),
        *(row(Minuted, no, consents.refuse, Refused) for no in SAYING_NO),
        row(Given, GiveConsent, consents.already_so),
        row(Given, ConfirmConsent, consents.already_so),
        *(row(Given, no, consents.withdraw, Withdrawn) for no in SAYING_NO),
        *(row(Refused, no, consents.already_so) for no in SAYING_NO),
        *(row(Withdrawn, no, consents.already_so) for no in SAYING_NO),
        *(row(Expired, no, consents.already_so) for no in SAYING_NO),
        *(row(Invalidated, no, consents.already_so) for no in SAYING_NO),
    ),
    on_event=(
        row(ABSENT, ConsentRequested, consents.ask, Requested),
        row(Requested, CustodyRecorded, consents.drop_without_custody, Requested, Invalidated),
        row(Requested, ConsentLost, consents.drop_with_permission, Invalidated),
        *(row(Requested, end, consents.drop_with_referral, Invalidated) for end in ALL_ENDS),
        row(Minuted, CustodyRecorded, consents.drop_without_custody, Minuted, Invalidated),
        row(Minuted, ConsentLost, consents.drop_with_permission, Invalidated),
        *(row(Minuted, end, consents.drop_with_referral, Invalidated) for end in ALL_ENDS),
        row(Given, CustodyRecorded, consents.drop_without_custody, Given, Invalidated),
        row(Given, ConsentLost, consents.drop_with_permission, Invalidated),
        *(row(Given, end, consents.drop_with_referral, Invalidated) for end in ALL_ENDS),
        row(Invalidated, ConsentRequested, consents.ask, Requested),
    ),
    on_timer=(
        timer_row(Requested, LAPSE, consents.go_unanswered, Expired),
        timer_row(Minuted, LAPSE, consents.go_unanswered, Expired),
        timer_row(Minuted, CONFIRM, consents.chase, Minuted, Requested),
        timer_row(Given, EXPIRY, consents.run_out, Given, Expired),
    ),
)

LIFECYCLES: Final = (CASE, PERMISSION, CONSENT)

Concerned = Iterable[tuple[Lifecycle, UUID]]
"""The machines that a trigger is put to, in order, each with the id of its thing."""


def decide(case: Case | None, trigger: Any, context: Context) -> Decision:
    """Return the case after a command, an event or a timer, with all that follows from it in the case."""
    if case is None and type(trigger) in COMMANDS:
        raise NotFound
    return _put(Decision(case), trigger, context)


def _put(decision: Decision, trigger: Any, context: Context) -> Decision:
    """Put a trigger to the machines that it concerns, and each event that a step makes to the others."""
    key = trigger.kind.partition(":")[0] if type(trigger) is TimerFired else type(trigger)
    concerned = _CONCERNED.get(key, _the_case)
    for machine, thing_id in concerned(decision.state or Case(), trigger, context):
        case = decision.state
        before = _before(case, machine, thing_id)
        step = machine.step(before, trigger)
        if step is None:
            _refuse_command(machine, before, trigger)
            continue
        made = step(Transition(case or Case(), thing_id, context), before, trigger)
        if made.state is case and not made.events and not made.timers:
            continue
        decision = _joined(decision, made)
        for event in made.events:
            if type(event) in _CONCERNED:
                decision = _put(decision, event, context)
    return decision


def _joined(earlier: Decision, later: Decision) -> Decision:
    if not (earlier.events or earlier.timers or earlier.private_values):
        return later
    return replace(
        later,
        events=earlier.events + later.events,
        timers=earlier.timers + later.timers,
        private_values=earlier.private_values + later.private_values,
    )


def _refuse_command(machine: Lifecycle, before: Any, trigger: Any) -> None:
    """Raise where a command fits no line; an event or a timer that fits none changes nothing."""
    if type(trigger) is TimerFired or not isinstance(trigger, Struct):
        return
    if machine is CONSENT:
        raise NotFound if before is None else InvalidTransition(before.status)
    raise InvalidTransition(type(trigger).__name__)


def _before(case: Case | None, machine: Lifecycle, thing_id: UUID) -> Any:
    if case is None or machine is CASE:
        return case
    return (case.permissions if machine is PERMISSION else case.consents).get(thing_id)


def _the_case(_case: Case, _trigger: Any, context: Context) -> Concerned:
    return ((CASE, context.stream_id),)


def _one_record(_case: Case, trigger: Any, _context: Context) -> Concerned:
    return ((CONSENT, trigger.consent_id),)


def _timed_record(_case: Case, fired: TimerFired, _context: Context) -> Concerned:
    return ((CONSENT, fired.ref),)


def _one_permission(_case: Case, event: Any, _context: Context) -> Concerned:
    return ((PERMISSION, event.referral_id),)


def _records(case: Case, event: Any, _context: Context) -> Concerned:
    return [(CONSENT, consent_id) for consent_id in case.consents_of(event.referral_id)]


def _permission_then_records(case: Case, event: Any, context: Context) -> Concerned:
    return [*_one_permission(case, event, context), *_records(case, event, context)]


def _records_then_permission(case: Case, fired: TimerFired, _context: Context) -> Concerned:
    records = [(CONSENT, consent_id) for consent_id in case.consents_of(fired.ref)]
    return [*records, (PERMISSION, fired.ref)]


def _all_records_and_permissions(case: Case, _event: Any, _context: Context) -> Concerned:
    return [
        thing
        for referral_id in case.permissions
        for thing in (
            *((CONSENT, consent_id) for consent_id in case.consents_of(referral_id)),
            (PERMISSION, referral_id),
        )
    ]


def _everything(case: Case, event: Any, context: Context) -> Concerned:
    yield from _the_case(case, event, context)
    yield from _all_records_and_permissions(case, event, context)


_CONCERNED: Final[dict[type | str, Callable[[Case, Any, Context], Concerned]]] = {
    GiveConsent: _one_record,
    ConfirmConsent: _one_record,
    RejectConsent: _one_record,
    RefuseConsent: _one_record,
    WithdrawConsent: _one_record,
    ConsentAwaited: _one_permission,
    **dict.fromkeys(ENDS, _permission_then_records),
    CaseClosed: _everything,
    LAPSE: _records_then_permission,
    EXPIRY: _timed_record,
    CONFIRM: _timed_record,
    ConsentRequested: _one_record,
    ConsentGiven: _one_permission,
    ConsentRefused: _one_permission,
    ConsentWithdrawn: _one_permission,
    ConsentExpired: _one_permission,
    ConsentLost: _records,
    CustodyRecorded: _all_records_and_permissions,
    CustodyConfirmed: _all_records_and_permissions,
}
