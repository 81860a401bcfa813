"""The rules of the cooperation agreement: which step fits which state, and what is heard and falls due."""

from typing import Any, Final
from uuid import UUID

from msgspec.structs import replace

from contracts.agreement import MeetingNudged
from contracts.consent import ConsentGranted, ConsentLost, CustodyRecorded
from contracts.evaluation import EvaluationConcluded
from contracts.event import Event
from contracts.model_parts import by_code
from contracts.referral import CaseOpened, ReferralAccepted, ReferralRecalled, ReferralWithdrawn
from services.agreement.domain_commands import (
    Command,
    EndAgreement,
    HoldMeeting,
    Propose,
    ReasonUnknown,
    ReportProgress,
    Sign,
)
from services.agreement.domain_states import (
    COMPLETED,
    CONSENT_LOST,
    NO_MEETING,
    RECALLED,
    Agreement,
    Case,
    Cause,
    Ended,
    InForce,
    Invited,
    Met,
    Proposed,
    agreement_of,
)
from services.agreement.domain_steps import chase, hold, invite, propose, report, sign
from services.agreement.domain_turns import end, model_of, turn
from services.agreement.timers import END, PROGRESS, timers_of
from services.kernel.decider.decision import Decision, Given, TimerFired
from services.kernel.decider.escalation import AUTOMATIC, awaited
from services.kernel.errors import Missing, WrongMoment

_ENDING: Final = ("stop", "complete")


def decide(state: Case | None, asked: Any, given: Given) -> Decision:
    """Return the case after a command, an event or a time that came, and what others must hear."""
    case = state or Case()
    match asked:
        case EvaluationConcluded():
            return _conclude(case, asked, given)
        case Event():
            return _hear(case, asked, given)
        case TimerFired():
            return _wake(case, asked, given)
        case _:
            agreement = case.agreements.get(asked.agreement_id)
            if agreement is None:
                raise Missing
            return _step(case, agreement, asked, given)


def _step(case: Case, agreement: Agreement, asked: Command, given: Given) -> Decision:  # noqa: PLR0911  a table
    match agreement, asked:
        case Invited(), HoldMeeting():
            return hold(case, agreement, asked, given)
        case ((Met() | Proposed() | InForce()), HoldMeeting()) if asked.held_on == agreement.held_on:
            return Decision(case)
        case ((Met() | Proposed() | InForce(adjustable=True)), Propose()):
            return propose(case, agreement, asked, given)
        case ((Proposed() | InForce()), Sign()):
            return sign(case, agreement, asked, given)
        case InForce(), ReportProgress():
            return report(case, agreement, asked, given)
        case Ended(), EndAgreement():
            return Decision(case)
        case _, EndAgreement():
            if by_code(model_of(agreement, given).end_reasons, asked.reason) is None:
                raise ReasonUnknown(asked.reason)
            return end(case, asked.agreement_id, Cause(given.now, asked.reason), given)
    raise WrongMoment(f"{type(agreement).__name__} {type(asked).__name__}")


def _hear(case: Case, event: Event, given: Given) -> Decision:
    match event:
        case CaseOpened():
            case = replace(case, department_id=event.department_id)
        case CustodyRecorded(holder_ids=holders, young_person_id=young_person, quorum=quorum):
            case = replace(case, guardians=holders, young_person_id=young_person, quorum=quorum)
        case ConsentGranted() if case.consents.get(event.referral_id, event.until) is not None:
            case = replace(case, consents={**case.consents, event.referral_id: event.until})
        case ConsentLost():
            return _shut(case, event.referral_id, CONSENT_LOST, given)
        case ReferralWithdrawn():
            return _shut(case, event.referral_id, CONSENT_LOST, given)
        case ReferralRecalled():
            return _shut(case, event.referral_id, RECALLED, given)
        case ReferralAccepted():
            return invite(case, event, given)
    return Decision(case)


def _shut(case: Case, referral_id: UUID, reason: str, given: Given) -> Decision:
    """Let the organisation see nothing more, and end what grew out of its referral."""
    shut = replace(case, consents={**case.consents, referral_id: None})
    return end(shut, agreement_of(referral_id), Cause(given.now, reason), given)


def _conclude(case: Case, event: EvaluationConcluded, given: Given) -> Decision:
    """Take over what an evaluation decided: a new version may follow, or it is over."""
    judged = {goal.goal_id: goal.attainment for goal in event.attained}
    case = replace(case, attained={**case.attained, **judged})
    if event.decision in _ENDING:
        return end(case, event.agreement_id, Cause(given.now, event.reason), given)
    agreement = case.agreements.get(event.agreement_id)
    if event.decision == "adjust" and isinstance(agreement, InForce):
        return turn(case, event.agreement_id, replace(agreement, adjustable=True), given)
    return Decision(case)


def _wake(case: Case, fired: TimerFired, given: Given) -> Decision:
    agreement = case.agreements.get(fired.ref)
    if agreement is None or not awaited(fired, timers_of(fired.ref, agreement, model_of(agreement, given))):
        return Decision(case)
    step, _, rung = fired.kind.partition("_")
    match agreement:
        case InForce() if step == END:
            return end(case, fired.ref, Cause(fired.due_at, COMPLETED), given)
        case InForce() if step == PROGRESS:
            return chase(case, fired.ref, agreement, rung, given)
        case Invited() if rung == AUTOMATIC:
            return end(case, fired.ref, Cause(fired.due_at, NO_MEETING), given)
        case Invited():
            told = MeetingNudged(
                agreement_id=fired.ref,
                organisation_id=agreement.about.organisation_id,
                meeting_by=agreement.meeting_by,
                rung=rung,
            )
            return Decision(case, (told,))
    return Decision(case)
