"""Lifecycles of a collaboration and of its evaluations: which step fits which state, and where to; pure.

A collaboration runs while its agreement is in force. An evaluation begins as planned: by a step of the
collaboration, or by the evaluation before it.
"""

from typing import Any, Final
from uuid import UUID

from msgspec.structs import replace

from contracts.agreement import AgreementEnded, AgreementInForce
from contracts.consent import ConsentGranted, ConsentLost, CustodyRecorded
from contracts.event import Event
from contracts.referral import CaseOpened
from services.evaluation.domain.commands import Conclude, HearVoice, TakeMeasurement
from services.evaluation.domain.deadlines import CONCLUSION, timers_of
from services.evaluation.domain.states import (
    Cancelled,
    Case,
    Collaboration,
    Concluded,
    Due,
    Evaluation,
    Missed,
    Over,
    Planned,
    Running,
)
from services.evaluation.domain.steps.conversation import already_concluded, conclude, fall_due, hear_voice
from services.evaluation.domain.steps.measuring import measure
from services.evaluation.domain.steps.planning import begin, cancel, end, give_way, plan_anew
from services.evaluation.domain.transition import Transition, wrong_moment
from services.kernel.decider.decision import Context, Decision, TimerFired
from services.kernel.decider.escalation import is_current
from services.kernel.decider.lifecycle import ABSENT, Lifecycle, row, timer_row
from services.kernel.errors import NotFound

COLLABORATION: Final = Lifecycle(
    "collaboration",
    (Running, Over),
    on_command=(
        row(Running, TakeMeasurement, measure),
        row(Over, TakeMeasurement, measure),
    ),
    on_event=(
        row(ABSENT, AgreementInForce, begin, Running),
        row(Running, AgreementInForce, plan_anew),
        row(Running, AgreementEnded, end, Over),
    ),
)

EVALUATION: Final = Lifecycle(
    "evaluation",
    (Planned, Due, Missed, Concluded, Cancelled),
    on_command=(
        row(Planned, HearVoice, hear_voice),
        row(Due, HearVoice, hear_voice),
        row(Missed, HearVoice, hear_voice),
        row(Planned, Conclude, conclude, Concluded),
        row(Due, Conclude, conclude, Concluded),
        row(Missed, Conclude, conclude, Concluded),
        row(Concluded, Conclude, already_concluded),
    ),
    on_event=(
        row(Planned, AgreementInForce, give_way, Planned, Cancelled),
        row(Planned, AgreementEnded, cancel, Cancelled),
        row(Due, AgreementEnded, cancel, Cancelled),
        row(Missed, AgreementEnded, cancel, Cancelled),
    ),
    on_timer=(
        timer_row(Planned, CONCLUSION, fall_due, Planned, Due, Missed),
        timer_row(Due, CONCLUSION, fall_due, Due, Missed),
    ),
)

LIFECYCLES: Final = (COLLABORATION, EVALUATION)


def decide(state: Case | None, trigger: Any, context: Context) -> Decision:
    """Return the case after a command, an event or a fired timer, and the events for other services.

    Raises `NotFound`, `InvalidTransition` and the refusals of a command.
    """
    case = _with_facts(state or Case(), trigger)
    match trigger:
        case AgreementInForce() | AgreementEnded():
            return _follow(case, trigger, context)
        case Event():
            return Decision(case)
        case TimerFired():
            return _wake(case, trigger, context)
        case TakeMeasurement(agreement_id=agreement_id):
            collaboration = case.collaborations.get(agreement_id)
            transition = Transition(case, agreement_id, agreement_id, context)
            return _carry_out(COLLABORATION, transition, collaboration, trigger)
        case _:
            evaluation_id: UUID = trigger.evaluation_id
            agreement_id, evaluation = _evaluation(case, evaluation_id)
            transition = Transition(case, agreement_id, evaluation_id, context)
            return _carry_out(EVALUATION, transition, evaluation, trigger)


def _evaluation(case: Case, evaluation_id: UUID) -> tuple[UUID, Evaluation | None]:
    agreement_id = case.agreement_of(evaluation_id)
    if agreement_id is None:
        return evaluation_id, None
    return agreement_id, case.collaborations[agreement_id].evaluations[evaluation_id]


def _carry_out(
    lifecycle: Lifecycle, transition: Transition, before: Collaboration | Evaluation | None, command: object
) -> Decision:
    if before is None:
        raise NotFound
    step = lifecycle.step(before, command)
    if step is None:
        raise wrong_moment(before, command)
    return step(transition, before, command)


def _follow(case: Case, event: AgreementInForce | AgreementEnded, context: Context) -> Decision:
    """Apply an event of an agreement to each of its evaluations, and then to the collaboration."""
    decision, before = Decision(case), case.collaborations.get(event.agreement_id)
    for evaluation_id, evaluation in before.evaluations.items() if before else ():
        decision = _and_then(decision, EVALUATION, evaluation_id, evaluation, event, context)
    before = decision.state.collaborations.get(event.agreement_id)
    return _and_then(decision, COLLABORATION, event.agreement_id, before, event, context)


def _and_then(
    first: Decision,
    lifecycle: Lifecycle,
    about: UUID,
    before: Collaboration | Evaluation | None,
    event: AgreementInForce | AgreementEnded,
    context: Context,
) -> Decision:
    step = lifecycle.step(before, event)
    if step is None:
        return first
    then = step(Transition(first.state, event.agreement_id, about, context), before, event)
    return Decision(then.state, (*first.events, *then.events), (*first.timers, *then.timers))


def _wake(case: Case, fired: TimerFired, context: Context) -> Decision:
    """Apply a timer that its evaluation still waits for; a lost consent silences all of them."""
    agreement_id, before = _evaluation(case, fired.ref)
    step = EVALUATION.step(before, fired)
    if before is None or step is None:
        return Decision(case)
    transition = Transition(case, agreement_id, fired.ref, context)
    collaboration = transition.collaboration
    due = is_current(fired, timers_of(case, collaboration, transition.model))
    if not due or case.has_lost(collaboration.about.referral_id):
        return Decision(case)
    return step(transition, before, fired)


def _with_facts(case: Case, trigger: Any) -> Case:
    """Return the case with what an event says of its parties and consents."""
    match trigger:
        case CaseOpened():
            return replace(case, department_id=trigger.department_id)
        case CustodyRecorded(holder_ids=holders, young_person_id=young_person):
            return replace(case, guardians=holders, young_person_id=young_person)
        case ConsentGranted() if not case.has_lost(trigger.referral_id):
            return replace(case, consents={**case.consents, trigger.referral_id: trigger.until})
        case ConsentLost():
            return replace(case, consents={**case.consents, trigger.referral_id: None})
        case _:
            return case
