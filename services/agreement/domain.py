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
from services.kernel.decider.decision import Context, Decision, TimerFired
from services.kernel.decider.escalation import AUTOMATIC, is_current
from services.kernel.errors import InvalidTransition, NotFound

_ENDING: Final = ("stop", "complete")


def decide(state: Case | None, trigger: Any, context: Context) -> Decision:
    """Return the case after a command, an event or a time that came, and what others must hear."""
    case = state or Case()
    match trigger:
        case EvaluationConcluded():
            return _conclude(case, trigger, context)
        case Event():
            return _hear(case, trigger, context)
        case TimerFired():
            return _wake(case, trigger, context)
        case _:
            agreement = case.agreements.get(trigger.agreement_id)
            if agreement is None:
                raise NotFound
            return _step(case, agreement, trigger, context)


def _step(case: Case, agreement: Agreement, command: Command, context: Context) -> Decision:  # noqa: PLR0911  a table
    match agreement, command:
        case Invited(), HoldMeeting():
            return hold(case, agreement, command, context)
        case ((Met() | Proposed() | InForce()), HoldMeeting()) if command.held_on == agreement.held_on:
            return Decision(case)
        case ((Met() | Proposed() | InForce(adjustable=True)), Propose()):
            return propose(case, agreement, command, context)
        case ((Proposed() | InForce()), Sign()):
            return sign(case, agreement, command, context)
        case InForce(), ReportProgress():
            return report(case, agreement, command, context)
        case Ended(), EndAgreement():
            return Decision(case)
        case _, EndAgreement():
            if by_code(model_of(agreement, context).end_reasons, command.reason) is None:
                raise ReasonUnknown(command.reason)
            return end(case, command.agreement_id, Cause(context.now, command.reason), context)
    raise InvalidTransition(f"{type(agreement).__name__} {type(command).__name__}")


def _hear(case: Case, event: Event, context: Context) -> Decision:
    match event:
        case CaseOpened():
            case = replace(case, department_id=event.department_id)
        case CustodyRecorded(holder_ids=holders, young_person_id=young_person, quorum=quorum):
            case = replace(case, guardians=holders, young_person_id=young_person, quorum=quorum)
        case ConsentGranted() if case.consents.get(event.referral_id, event.until) is not None:
            case = replace(case, consents={**case.consents, event.referral_id: event.until})
        case ConsentLost():
            return _shut(case, event.referral_id, CONSENT_LOST, context)
        case ReferralWithdrawn():
            return _shut(case, event.referral_id, CONSENT_LOST, context)
        case ReferralRecalled():
            return _shut(case, event.referral_id, RECALLED, context)
        case ReferralAccepted():
            return invite(case, event, context)
    return Decision(case)


def _shut(case: Case, referral_id: UUID, reason: str, context: Context) -> Decision:
    """Let the organisation see nothing more, and end what grew out of its referral."""
    shut = replace(case, consents={**case.consents, referral_id: None})
    return end(shut, agreement_of(referral_id), Cause(context.now, reason), context)


def _conclude(case: Case, event: EvaluationConcluded, context: Context) -> Decision:
    """Take over what an evaluation decided: a new version may follow, or it is over."""
    judged = {goal.goal_id: goal.attainment for goal in event.attained}
    case = replace(case, attained={**case.attained, **judged})
    if event.decision in _ENDING:
        return end(case, event.agreement_id, Cause(context.now, event.reason), context)
    agreement = case.agreements.get(event.agreement_id)
    if event.decision == "adjust" and isinstance(agreement, InForce):
        return turn(case, event.agreement_id, replace(agreement, adjustable=True), context)
    return Decision(case)


def _wake(case: Case, fired: TimerFired, context: Context) -> Decision:
    agreement = case.agreements.get(fired.ref)
    if agreement is None or not is_current(
        fired, timers_of(fired.ref, agreement, model_of(agreement, context))
    ):
        return Decision(case)
    step, _, rung = fired.kind.partition("_")
    match agreement:
        case InForce() if step == END:
            return end(case, fired.ref, Cause(fired.due_at, COMPLETED), context)
        case InForce() if step == PROGRESS:
            return chase(case, fired.ref, agreement, rung, context)
        case Invited() if rung == AUTOMATIC:
            return end(case, fired.ref, Cause(fired.due_at, NO_MEETING), context)
        case Invited():
            told = MeetingNudged(
                agreement_id=fired.ref,
                organisation_id=agreement.about.organisation_id,
                meeting_by=agreement.meeting_by,
                rung=rung,
            )
            return Decision(case, (told,))
    return Decision(case)
