"""What a referral and its case wait for, and the timer and escalation steps that follow from it; pure.

A referral has one timer, `DEADLINE`, which is set to the next step of its ladder and replaced at each step.
"""

from datetime import date, datetime
from typing import Final, assert_never
from uuid import UUID

from contracts.model import CollaborationModel
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
    next_step_at,
    steps_on,
)
from services.kernel.decider.working_days import Calendar
from services.referral.domain.states import (
    Accepted,
    AwaitingConsent,
    Case,
    Closed,
    Declined,
    Drafted,
    Expected,
    Expired,
    Ready,
    Recalled,
    Referral,
    Seen,
    Sent,
    UnderWay,
    Withdrawn,
)

DEADLINE: Final = "deadline"

CASEWORKER: Final = "caseworker"
COORDINATOR: Final = "coordinator"
CONSENT_PARTIES: Final = "consent_parties"
AGREEMENT_PARTIES: Final = "agreement_parties"

EXPIRES: Final = "expires"

_WITHOUT_DUE: Final = frozenset({DUE})
_WITHOUT_EXPIRY: Final = frozenset({DUE, AUTOMATIC})


def waiting(referral: Referral) -> Waiting | None:  # noqa: PLR0911  one line for each kind of wait
    """Return what a referral waits for, for whom and until when; None once nothing more is to come.

    Since when it waits stands in the times of the referral's history, not in its state.
    """
    match referral:
        case Drafted():
            return Waiting("draft", CASEWORKER, None, None, open_ended="draft_is_internal")
        case AwaitingConsent():
            return Waiting("awaiting_consent", CONSENT_PARTIES, None, referral.lapse_on, then=EXPIRES)
        case Ready():
            return Waiting("ready", CASEWORKER, None, referral.send_by)
        case Sent() | Seen():
            return Waiting("sent", COORDINATOR, None, referral.answer_by, then=EXPIRES)
        case Accepted():
            return Waiting("meeting", CASEWORKER, None, referral.meeting_by)
        case UnderWay():
            return Waiting("agreement", AGREEMENT_PARTIES, None, None, open_ended="agreement_in_force")
        case Recalled() | Withdrawn():
            if referral.delete_by is None or referral.deleted_at is not None:
                return None
            return Waiting("deletion", COORDINATOR, None, referral.delete_by)
        case Closed() | Declined() | Expired():
            return None
        case _:
            assert_never(referral)


def waiting_of_case(state: Expected | Case) -> tuple[Waiting, ...]:
    """Return what a case waits for: its own next step, and all that its referrals wait for."""
    match state:
        case Expected():
            return (Waiting("opening", CASEWORKER, None, None, open_ended="case_not_opened"),)
        case Case():
            of_referrals = [waiting(referral) for referral in state.referrals.values()]
            own = () if state.ending or any(of_referrals) else (_next_step(state),)
            return (*own, *(each for each in of_referrals if each))
        case _:
            assert_never(state)


def escalation_of(referral: Referral, model: CollaborationModel, calendar: Calendar) -> tuple[str, Steps]:
    """Return what a referral waits for, and the steps of its ladder; none where it has no ladder.

    Nothing is sent by itself: a ready referral waits for a caseworker for as long as that takes. The meeting
    of an accepted referral is chased by its agreement.
    """
    wait = waiting(referral)
    if wait is None or wait.until is None:
        return "", ()
    match referral:
        case Ready():
            steps = escalation_steps(calendar, model.ladder, wait.until, _WITHOUT_EXPIRY)
        case Sent() | Seen():
            steps = escalation_steps(calendar, model.ladder, wait.until, _WITHOUT_DUE)
        case AwaitingConsent():
            steps = steps_on(calendar, (REMINDER, referral.remind_on), (AUTOMATIC, wait.until))
        case Recalled() | Withdrawn():
            steps = _deletion_steps(model, calendar, wait.until)
        case Drafted() | Accepted() | UnderWay() | Closed() | Declined() | Expired():
            steps = ()
        case _:
            assert_never(referral)
    return wait.what, steps


def schedule(
    referral_id: UUID, referral: Referral, model: CollaborationModel, calendar: Calendar, now: datetime
) -> Timer:
    """Return the timer of a referral's new state: its first step after `now`, or none."""
    _, steps = escalation_of(referral, model, calendar)
    return Timer(DEADLINE, referral_id, next_step_at(steps, now) if steps else None)


def _deletion_steps(model: CollaborationModel, calendar: Calendar, delete_by: date) -> Steps:
    # both deadlines count from the day of the stop; the state keeps the first of them
    further = model.deadlines.delete_escalate - model.deadlines.delete_confirm
    return steps_on(calendar, (STAND_IN, delete_by), (LEADER, calendar.after(delete_by, further)))


def _next_step(case: Case) -> Waiting:
    if case.views is None:
        what = "views"
    elif case.eligibility is None:
        what = "eligibility"
    else:
        what = "referral" if case.eligibility.eligible else "closing"
    return Waiting(what, CASEWORKER, None, None, open_ended="planning_has_no_deadline")
