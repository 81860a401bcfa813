"""Lifecycle of a cooperation agreement: which step fits which state, and where it leads; pure."""

from typing import Any, Final
from uuid import UUID

from msgspec.structs import replace

from contracts.consent import ConsentGranted, ConsentLost, CustodyRecorded
from contracts.evaluation import EvaluationConcluded
from contracts.event import Event
from contracts.referral import CaseOpened, ReferralAccepted, ReferralRecalled, ReferralWithdrawn
from services.agreement.domain.commands import EndAgreement, HoldMeeting, Propose, ReportProgress, Sign
from services.agreement.domain.deadlines import END, MEETING, PROGRESS, timers_of
from services.agreement.domain.states import (
    Agreement,
    Case,
    Ended,
    InForce,
    Invited,
    Met,
    Open,
    Proposed,
    agreement_of,
)
from services.agreement.domain.steps.ending import complete, conclude, stop, stop_sharing
from services.agreement.domain.steps.meeting import already_held, chase_meeting, hold, invite
from services.agreement.domain.steps.progress import chase_progress, report
from services.agreement.domain.steps.signing import sign
from services.agreement.domain.steps.terms import adjust, propose
from services.agreement.domain.transition import Transition, unchanged, wrong_moment
from services.kernel.decider.decision import Context, Decision, TimerFired
from services.kernel.decider.escalation import is_current
from services.kernel.decider.lifecycle import ABSENT, Lifecycle, row, timer_row
from services.kernel.errors import NotFound

_OPEN: Final[tuple[type[Open], ...]] = (Invited, Met, Proposed, InForce)
_ALL: Final[tuple[type[Agreement], ...]] = (*_OPEN, Ended)

AGREEMENT: Final = Lifecycle(
    "agreement",
    _ALL,
    on_command=(
        row(Invited, HoldMeeting, hold, Met),
        row(Met, HoldMeeting, already_held),
        row(Proposed, HoldMeeting, already_held),
        row(InForce, HoldMeeting, already_held),
        row(Met, Propose, propose, Proposed),
        row(Proposed, Propose, propose),
        row(InForce, Propose, adjust),
        row(Proposed, Sign, sign, Proposed, InForce),
        row(InForce, Sign, sign),
        row(InForce, ReportProgress, report),
        *(row(state, EndAgreement, stop, Ended) for state in _OPEN),
        row(Ended, EndAgreement, unchanged),
    ),
    on_event=(
        row(ABSENT, ReferralAccepted, invite, Invited, Ended),
        *(row(state, ConsentLost, stop_sharing, Ended) for state in _ALL),
        *(row(state, ReferralWithdrawn, stop_sharing, Ended) for state in _ALL),
        *(row(state, ReferralRecalled, stop_sharing, Ended) for state in _ALL),
        *(row(state, EvaluationConcluded, conclude, state, Ended) for state in _ALL),
        # the end may arrive before the beginning: its cause is kept
        row(ABSENT, ConsentLost, stop_sharing),
        row(ABSENT, ReferralWithdrawn, stop_sharing),
        row(ABSENT, ReferralRecalled, stop_sharing),
        row(ABSENT, EvaluationConcluded, conclude),
    ),
    on_timer=(
        timer_row(Invited, MEETING, chase_meeting, Invited, Ended),
        timer_row(InForce, PROGRESS, chase_progress),
        timer_row(InForce, END, complete, Ended),
    ),
)

LIFECYCLES: Final = (AGREEMENT,)


def decide(state: Case | None, trigger: Any, context: Context) -> Decision:
    """Return the case after a command, an event or a fired timer, and the events for other services.

    Raises `NotFound`, `InvalidTransition` and the refusals of a command.
    """
    case = _with_facts(state or Case(), trigger)
    agreement_id = _subject(trigger)
    if agreement_id is None:
        return Decision(case)
    before = case.agreements.get(agreement_id)
    transition, step = Transition(case, agreement_id, context), AGREEMENT.step(before, trigger)
    match trigger:
        case Event():
            step = step or unchanged
        case TimerFired():
            step = step if step and _is_due(transition, before, trigger) else unchanged
        case _ if before is None:
            raise NotFound
        case _ if step is None:
            raise wrong_moment(before, trigger)
    return step(transition, before, trigger)


def _subject(trigger: Any) -> UUID | None:
    """Return the agreement that a trigger concerns; None where it concerns the case alone."""
    match trigger:
        case ReferralAccepted() | ReferralRecalled() | ReferralWithdrawn() | ConsentLost():
            return agreement_of(trigger.referral_id)
        case TimerFired():
            return trigger.ref
        case Event() if not isinstance(trigger, EvaluationConcluded):
            return None
        case _:
            found: UUID = trigger.agreement_id
            return found


def _with_facts(case: Case, trigger: Any) -> Case:
    """Return the case with what an event says of its parties, consents and goals."""
    match trigger:
        case CaseOpened():
            return replace(case, department_id=trigger.department_id)
        case CustodyRecorded(holder_ids=holders, young_person_id=young_person, quorum=quorum):
            return replace(case, guardians=holders, young_person_id=young_person, quorum=quorum)
        case ConsentGranted() if case.consents.get(trigger.referral_id, trigger.until) is not None:
            return replace(case, consents={**case.consents, trigger.referral_id: trigger.until})
        case ConsentLost() | ReferralWithdrawn() | ReferralRecalled():
            return replace(case, consents={**case.consents, trigger.referral_id: None})
        case EvaluationConcluded():
            attained = {goal.goal_id: goal.attainment for goal in trigger.attained}
            return replace(case, attained={**case.attained, **attained})
        case _:
            return case


def _is_due(transition: Transition, before: Agreement | None, fired: TimerFired) -> bool:
    """Return whether the agreement still waits for a timer, and not for a later one."""
    if before is None:
        return False
    return is_current(fired, timers_of(transition.case, fired.ref, before, transition.model))
