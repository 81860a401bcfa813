"""How an agreement turns from one state into the next, and how it ends; pure."""

from datetime import date
from uuid import UUID

from msgspec.structs import replace

from contracts.agreement import AgreementEnded
from contracts.event import Event
from contracts.model import CollaborationModel
from services.agreement.domain_states import Agreement, Case, Cause, Ended, InForce, Invited, Met, Proposed
from services.agreement.timers import timers_of
from services.kernel.decider.decision import Context, Decision
from services.kernel.decider.escalation import timer_changes
from services.kernel.decider.working_days import calendar_of


def end(case: Case, agreement_id: UUID, cause: Cause, context: Context) -> Decision:
    """End an agreement by its earliest cause, tell it once, and remember it where nothing is known yet."""
    first = min(cause, case.causes.get(agreement_id, cause))
    case = replace(case, causes={**case.causes, agreement_id: first})
    before = case.agreements.get(agreement_id)
    if before is None:
        return Decision(case)
    after = _ended(before, first, calendar_of(model_of(before, context)).today(first.at))
    if isinstance(before, Ended):
        return turn(case, agreement_id, after, context)
    told = AgreementEnded(
        agreement_id=agreement_id,
        referral_id=after.about.referral_id,
        organisation_id=after.about.organisation_id,
        reason=after.reason,
        ended_on=after.ended_on,
    )
    return turn(case, agreement_id, after, context, told)


def _ended(before: Agreement, cause: Cause, day: date) -> Ended:
    match before:
        case Ended():
            return replace(before, reason=cause.reason, ended_on=day)
        case InForce():
            return Ended(
                about=before.about,
                reason=cause.reason,
                ended_on=day,
                held_on=before.held_on,
                in_force_on=before.in_force_on,
                terms=before.terms,
                signed=before.signed,
                updates=before.updates,
            )
        case Met() | Proposed():
            return Ended(about=before.about, reason=cause.reason, ended_on=day, held_on=before.held_on)
        case Invited():
            return Ended(about=before.about, reason=cause.reason, ended_on=day)


def turn(case: Case, agreement_id: UUID, after: Agreement, context: Context, *events: Event) -> Decision:
    """Return the case with one agreement in its new state, and its timers set as that state asks."""
    model = model_of(after, context)
    before = timers_of(agreement_id, case.agreements.get(agreement_id), model)
    return Decision(
        replace(case, agreements={**case.agreements, agreement_id: after}),
        events,
        timer_changes(before, timers_of(agreement_id, after, model)),
    )


def model_of(agreement: Agreement, context: Context) -> CollaborationModel:
    """Return the version of the model that the agreement began under."""
    return context.models[agreement.about.model]


def today_of(agreement: Agreement, context: Context) -> date:
    """Return the local day of the decision."""
    return calendar_of(model_of(agreement, context)).today(context.now)
