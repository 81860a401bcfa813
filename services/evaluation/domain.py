"""The rules of evaluation: which step fits which state, and what is heard and falls due."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from contracts.agreement import AgreementEnded, AgreementInForce
from contracts.consent import ConsentGranted, ConsentLost, CustodyRecorded
from contracts.evaluation import EvaluationDue, EvaluationNudged
from contracts.event import Event
from contracts.model import CollaborationModel
from contracts.referral import CaseOpened
from services.evaluation.domain_commands import Conclude, HearVoice, TakeMeasurement
from services.evaluation.domain_measures import measure
from services.evaluation.domain_states import (
    About,
    Cancelled,
    Case,
    Concluded,
    Due,
    Evaluation,
    Missed,
    Over,
    Plan,
    Planned,
    Running,
)
from services.evaluation.domain_steps import conclude, hear_voice
from services.evaluation.domain_turns import (
    Place,
    model_of,
    today_of,
    turn,
    with_evaluation,
    with_next,
)
from services.evaluation.timers import first_day, months_after, next_day, timers_of
from services.kernel.decider.decision import Context, Decision, TimerFired
from services.kernel.decider.escalation import AUTOMATIC, DUE, is_current
from services.kernel.errors import InvalidTransition, NotFound


def decide(state: Case | None, trigger: Any, context: Context) -> Decision:
    """Return the case after a command, an event or a time that came, and what others must hear."""
    case = state or Case()
    match trigger:
        case Event():
            return _hear(case, trigger, context)
        case TimerFired():
            return _wake(case, trigger, context)
        case TakeMeasurement():
            collaboration = case.collaborations.get(trigger.agreement_id)
            if collaboration is None:
                raise NotFound
            return measure(case, collaboration, trigger, context)
        case _:
            return _step(case, trigger, context)


def _step(case: Case, command: HearVoice | Conclude, context: Context) -> Decision:
    agreement_id = case.holding(command.evaluation_id)
    if agreement_id is None:
        raise NotFound
    collaboration = case.collaborations[agreement_id]
    evaluation = collaboration.evaluations[command.evaluation_id]
    match collaboration, evaluation, command:
        case Running(), (Planned() | Due() | Missed()), HearVoice():
            return hear_voice(Place(case, agreement_id, collaboration), evaluation, command, context)
        case Running(), (Planned() | Due() | Missed()), Conclude():
            return conclude(Place(case, agreement_id, collaboration), evaluation, command, context)
        case _, Concluded(), Conclude() if _same(evaluation, command):
            return Decision(case)
    raise InvalidTransition(f"{type(evaluation).__name__} {type(command).__name__}")


def _same(evaluation: Concluded, command: Conclude) -> bool:
    said = (command.decision, command.reason, command.attained)
    return said == (evaluation.decision, evaluation.reason, evaluation.attained)


def _hear(case: Case, event: Event, context: Context) -> Decision:
    match event:
        case CaseOpened():
            case = replace(case, department_id=event.department_id)
        case CustodyRecorded(holder_ids=holders, young_person_id=young_person):
            case = replace(case, guardians=holders, young_person_id=young_person)
        case ConsentGranted() if not case.has_lost(event.referral_id):
            case = replace(case, consents={**case.consents, event.referral_id: event.until})
        case ConsentLost():
            case = replace(case, consents={**case.consents, event.referral_id: None})
        case AgreementInForce():
            return _begin(case, event, context)
        case AgreementEnded():
            return _end(case, event, context)
    return Decision(case)


def _begin(case: Case, event: AgreementInForce, context: Context) -> Decision:
    """Follow an agreement from now on; a later version brings its own goals, days and rhythm."""
    model = context.models[f"{event.model}/{event.model_version}"]
    measured = tuple(dimension.code for dimension in model.dimensions)
    about = About(event.referral_id, event.organisation_id, model.ref, measured)
    plan = Plan(event.version, event.goal_ids, event.starts_on, event.ends_on, event.evaluate_every_days)
    before = case.collaborations.get(event.agreement_id)
    told: tuple[Event, ...]
    match before:
        case None:
            first = first_day(plan, model, today_of(about, context))
            running, told = with_next(event.agreement_id, Running(about=about, plan=plan), first)
        case Running():
            day = next_day(today_of(about, context), plan, model)
            running, told = _replan(event.agreement_id, replace(before, plan=plan), day)
        case Over():
            return Decision(case)
    return turn(case, event.agreement_id, running, context, *told)


def _replan(agreement_id: UUID, running: Running, day: date | None) -> tuple[Running, tuple[Event, ...]]:
    """Plan by a new version: what waits keeps its day, unless an earlier one is asked for."""
    for evaluation_id, waiting in running.evaluations.items():
        if isinstance(waiting, Planned) and not waiting.voices and day and day < waiting.due_on:
            running = with_evaluation(running, evaluation_id, _cancelled(waiting))
    return with_next(agreement_id, running, day)


def _end(case: Case, event: AgreementEnded, context: Context) -> Decision:
    """Cancel what was to be held; the measurement at the end is still to be taken."""
    before = case.collaborations.get(event.agreement_id)
    if not isinstance(before, Running):
        return Decision(case)
    over = Over(
        about=before.about,
        plan=before.plan,
        evaluations={at: _cancelled(evaluation) for at, evaluation in before.evaluations.items()},
        measured=before.measured,
        outcomes=before.outcomes,
        ended_on=event.ended_on,
        after_on=months_after(
            event.ended_on, model_of(before.about, context).rhythm.measurement_after_months
        ),
        reason=event.reason,
    )
    return turn(case, event.agreement_id, over, context)


def _cancelled(evaluation: Evaluation) -> Evaluation:
    if isinstance(evaluation, Concluded):
        return evaluation
    return Cancelled(number=evaluation.number, due_on=evaluation.due_on, voices=evaluation.voices)


def _wake(case: Case, fired: TimerFired, context: Context) -> Decision:
    """Ask for the voices when the day comes, and climb the ladder; a lost consent silences all of it."""
    agreement_id = case.holding(fired.ref)
    running = case.collaborations.get(agreement_id) if agreement_id else None
    if agreement_id is None or not isinstance(running, Running) or case.has_lost(running.about.referral_id):
        return Decision(case)
    model = model_of(running.about, context)
    evaluation = running.evaluations[fired.ref]
    if not isinstance(evaluation, Planned | Due) or not is_current(fired, timers_of(running, model)):
        return Decision(case)
    if fired.kind == DUE:
        return _fall_due(Place(case, agreement_id, running), fired.ref, evaluation, context)
    told = EvaluationNudged(
        evaluation_id=fired.ref,
        organisation_id=running.about.organisation_id,
        due_on=evaluation.due_on,
        rung=fired.kind,
    )
    if fired.kind != AUTOMATIC:
        return Decision(case, (told,))
    missed = Missed(number=evaluation.number, due_on=evaluation.due_on, voices=evaluation.voices)
    day = _day_after_missed(missed, running.plan, today_of(running.about, context), model)
    after, planned = with_next(agreement_id, with_evaluation(running, fired.ref, missed), day)
    return turn(case, agreement_id, after, context, told, *planned)


def _fall_due(place: Place, evaluation_id: UUID, evaluation: Planned | Due, context: Context) -> Decision:
    due = Due(number=evaluation.number, due_on=evaluation.due_on, voices=evaluation.voices)
    told = EvaluationDue(
        evaluation_id=evaluation_id,
        agreement_id=place.agreement_id,
        organisation_id=place.running.about.organisation_id,
        due_on=due.due_on,
    )
    after = with_evaluation(place.running, evaluation_id, due)
    return turn(place.case, place.agreement_id, after, context, told)


def _day_after_missed(missed: Missed, plan: Plan, today: date, model: CollaborationModel) -> date | None:
    """Return the next day of the rhythm that lies ahead, so that no two are further apart than agreed."""
    interval = timedelta(days=plan.evaluate_every_days)
    return next_day(missed.due_on if missed.due_on + interval > today else today, plan, model)
