"""Steps that follow an agreement: a collaboration begins, is planned anew, and ends; pure."""

from datetime import date

from msgspec import Struct
from msgspec.structs import replace

from contracts.agreement import AgreementEnded, AgreementInForce
from contracts.model import CollaborationModel
from services.evaluation.domain.deadlines import first_day, next_day
from services.evaluation.domain.states import About, Cancelled, Open, Over, Plan, Planned, Running
from services.evaluation.domain.transition import Transition, with_next
from services.kernel.decider.decision import Context, Decision
from services.kernel.decider.working_days import calendar_of, months_after


class _Terms(Struct, frozen=True):
    """What a version in force says of time and goals, with its model and the local day."""

    plan: Plan
    model: CollaborationModel
    today: date


def begin(transition: Transition, before: None, event: AgreementInForce) -> Decision:  # noqa: ARG001  a step
    """Follow an agreement from now on, and plan its first evaluation."""
    terms = _terms(event, transition.context)
    measured = tuple(dimension.code for dimension in terms.model.dimensions)
    about = About(event.referral_id, event.organisation_id, terms.model.ref, measured)
    running = Running(about=about, plan=terms.plan)
    day = first_day(terms.plan, terms.model, terms.today)
    after, planned = with_next(event.agreement_id, running, day)
    return transition.moved(after, *planned)


def plan_anew(transition: Transition, before: Running, event: AgreementInForce) -> Decision:
    """Go on by a new version, with its own goals, days and rhythm."""
    terms = _terms(event, transition.context)
    day = next_day(terms.today, terms.plan, terms.model)
    after, planned = with_next(event.agreement_id, replace(before, plan=terms.plan), day)
    return transition.moved(after, *planned)


def give_way(transition: Transition, before: Planned, event: AgreementInForce) -> Decision:
    """Cancel an evaluation where a new version wants an earlier one and no voice is on record yet."""
    terms = _terms(event, transition.context)
    day = next_day(terms.today, terms.plan, terms.model)
    if before.voices or day is None or day >= before.due_on:
        return Decision(transition.case)
    return transition.moved(transition.with_evaluation(_cancelled(before)))


def cancel(transition: Transition, before: Open, event: AgreementEnded) -> Decision:  # noqa: ARG001  a step
    """Cancel what was to be held."""
    return transition.moved(transition.with_evaluation(_cancelled(before)))


def end(transition: Transition, before: Running, event: AgreementEnded) -> Decision:
    """End the collaboration; the measurement at the end is still to be taken."""
    months = transition.model.rhythm.measurement_after_months
    return transition.moved(
        Over(
            about=before.about,
            plan=before.plan,
            evaluations=before.evaluations,
            measured=before.measured,
            outcomes=before.outcomes,
            ended_on=event.ended_on,
            after_on=months_after(event.ended_on, months),
            reason=event.reason,
        )
    )


def _terms(event: AgreementInForce, context: Context) -> _Terms:
    model = context.models[f"{event.model}/{event.model_version}"]
    plan = Plan(event.version, event.goal_ids, event.starts_on, event.ends_on, event.evaluate_every_days)
    return _Terms(plan, model, calendar_of(model).today(context.now))


def _cancelled(evaluation: Open) -> Cancelled:
    return Cancelled(number=evaluation.number, due_on=evaluation.due_on, voices=evaluation.voices)
