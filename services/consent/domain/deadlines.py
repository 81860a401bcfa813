"""Deadlines of consent: what each state waits for, until when, and the timers that follow; pure.

Days are those of the collaboration model's calendar. Where the model is not installed (yet), the calendar is
`WITHOUT_MODEL`: nobody is asked then and no custody can be recorded, so that only the end of a wait and the
next check for the model are timed by it, on the same day and an hour or two later than in local time.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Final, assert_never
from uuid import UUID
from zoneinfo import ZoneInfo

from contracts.model import CollaborationModel
from services.consent.domain.states import (
    Awaited,
    Case,
    Consent,
    Expired,
    Given,
    Granted,
    Invalidated,
    Lost,
    Minuted,
    Over,
    Permission,
    Refused,
    Requested,
    Withdrawn,
)
from services.kernel.decider.deadlines import Waiting
from services.kernel.decider.decision import Timer
from services.kernel.decider.escalation import (
    AUTOMATIC,
    DUE,
    LEADER,
    REMINDER,
    STAND_IN,
    Steps,
    escalation_steps,
    steps_on,
)
from services.kernel.decider.working_days import Calendar, calendar_of

LAPSE: Final = "lapse"
EXPIRY: Final = "expiry"
AGE: Final = "age"
CONFIRM: Final = "confirm"

CASEWORKER: Final = "caseworker"
HOLDER: Final = "guardian"
YOUNG_PERSON: Final = "young_person"
COLLEAGUE: Final = "colleague"
"""The party of a wait that a second employee of the department ends."""

TIMED: Final = (Awaited, Minuted, Given)
"""The states that end by themselves; every other state has no timer."""

WITHOUT_MODEL: Final = Calendar(country="", closed=(), timezone="UTC")


def calendar_for(model: CollaborationModel | None) -> Calendar:
    """Return the calendar of a model, or the one that stands in for a model that is not installed."""
    return WITHOUT_MODEL if model is None else calendar_of(model)


def timers_of(
    thing_id: UUID, thing: Consent | Permission | None, model: CollaborationModel | None
) -> tuple[Timer, ...]:
    """Return the timers of one record or permission: what ends by itself on the day that is waited for.

    A wait for answers ends on the morning of its last day, a yes at the minute in which its time is over; the
    wait for a colleague has the steps of an escalation, of which the last ends it.
    """
    if thing is None:
        return ()
    calendar = calendar_for(model)
    match thing:
        case Awaited():
            return (Timer(LAPSE, thing_id, calendar.morning(thing.scope.lapse_on)),)
        case Minuted():
            return tuple(
                Timer(f"{CONFIRM}:{step}", thing_id, at)
                for step, at in _confirmation_steps(thing.confirm_by, model)
                if step not in thing.nudged
            )
        case Given():
            return (Timer(EXPIRY, thing_id, thing.expires_at),)
        case Requested() | Refused() | Withdrawn() | Expired() | Invalidated():
            return ()
        case Granted() | Lost() | Over():
            return ()
        case _:
            assert_never(thing)


def _confirmation_steps(confirm_by: date, model: CollaborationModel | None) -> Steps:
    if model is None:
        return steps_on(WITHOUT_MODEL, *((step, confirm_by) for step in (REMINDER, DUE, LEADER, AUTOMATIC)))
    return escalation_steps(calendar_of(model), model.ladder, confirm_by, without=frozenset({STAND_IN}))


def age_timer(case_id: UUID, day: date | None, calendar: Calendar) -> Timer:
    """Return the timer that checks the rule against the child's age as a day begins; no day takes it back."""
    if day is None:
        return Timer(AGE, case_id, None)
    midnight = datetime.combine(day, time(), ZoneInfo(calendar.timezone))
    return Timer(AGE, case_id, midnight.astimezone(UTC))


def waiting(case: Case, models: Mapping[str, CollaborationModel]) -> tuple[Waiting, ...]:
    """Return what a case waits for: custody, each open permission, each answer, and the end of each yes."""
    found = [] if case.closed else [_custody_waiting(case, calendar_for(models.get(case.model)))]
    found += [
        wait
        for referral_id, permission in case.permissions.items()
        if (wait := permission_waiting(referral_id, case, _calendar_of(permission, models)))
    ]
    for consent in case.consents.values():
        permission = case.permissions[consent.question.referral_id]
        if wait := consent_waiting(consent, case, _calendar_of(permission, models)):
            found.append(wait)
    return tuple(found)


def permission_waiting(referral_id: UUID, case: Case, calendar: Calendar) -> Waiting | None:
    """Return what a permission waits for; None where it is over.

    Until custody is on record the caseworker is the one who can go on, then those who must consent, and at
    last the colleague who confirms what was put on record for them.
    """
    permission = case.permissions[referral_id]
    match permission:
        case Awaited(scope=scope):
            since = calendar.today(scope.awaited_at)
            return Waiting("permission", _who_goes_on(referral_id, case), since, scope.lapse_on, then="lost")
        case Granted(until=until):
            return Waiting("end_of_permission", HOLDER, None, calendar.today(until), then="lost")
        case Lost() | Over():
            return None
        case _:
            assert_never(permission)


def _who_goes_on(referral_id: UUID, case: Case) -> str:
    if case.custody is None:
        return CASEWORKER
    records = {one.question.person_id: one for one in case.consents_of(referral_id).values()}
    answered = [isinstance(records.get(person), Minuted | Given) for person in case.custody.must]
    return COLLEAGUE if answered and all(answered) else HOLDER


def consent_waiting(consent: Consent, case: Case, calendar: Calendar) -> Waiting | None:
    """Return what the record of one person waits for; None where nothing can change any more."""
    question = consent.question
    is_young = case.custody is not None and question.person_id == case.custody.young_person_id
    party = YOUNG_PERSON if is_young else HOLDER
    match consent:
        case Requested():
            last = case.permissions[question.referral_id].scope.lapse_on
            return Waiting("answer", party, calendar.today(question.requested_at), last, then="expired")
        case Minuted():
            since = calendar.today(consent.minuted.at)
            return Waiting("confirmation", COLLEAGUE, since, consent.confirm_by, then="requested")
        case Given():
            since, until = calendar.today(consent.given.at), calendar.today(consent.expires_at)
            return Waiting("end_of_consent", party, since, until, then="expired")
        case Refused() | Withdrawn() | Expired() | Invalidated():
            return None
        case _:
            assert_never(consent)


def _custody_waiting(case: Case, calendar: Calendar) -> Waiting:
    if case.custody is None:
        return Waiting("custody", CASEWORKER, None, None, open_ended="needed_by_the_first_referral")
    since, until = calendar.today(case.custody.recorded_at), calendar.today(case.custody.stale_at)
    return Waiting("custody", CASEWORKER, since, until)


def _calendar_of(permission: Permission, models: Mapping[str, CollaborationModel]) -> Calendar:
    return calendar_for(models.get(permission.scope.model))
