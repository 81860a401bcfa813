"""Steps that end an agreement: an exit, a lost consent, a recall, an evaluation, the last day; pure."""

from datetime import date
from typing import Final

from msgspec.structs import replace

from contracts.agreement import AgreementEnded
from contracts.consent import ConsentLost
from contracts.evaluation import EvaluationConcluded
from contracts.model_parts import by_code
from contracts.referral import ReferralRecalled, ReferralWithdrawn
from services.agreement.domain.commands import EndAgreement
from services.agreement.domain.refusals import ReasonUnknown
from services.agreement.domain.states import (
    COMPLETED,
    CONSENT_LOST,
    RECALLED,
    Agreement,
    Cause,
    Ended,
    InForce,
    Open,
    summary_of,
)
from services.agreement.domain.transition import Transition
from services.kernel.decider.decision import Decision, TimerFired
from services.kernel.decider.working_days import calendar_of

_ENDING: Final = ("stop", "complete")


def stop(transition: Transition, before: Open, command: EndAgreement) -> Decision:
    """Stop the collaboration for a reason of the model."""
    if by_code(transition.model.end_reasons, command.reason) is None:
        raise ReasonUnknown(", ".join(reason.code for reason in transition.model.end_reasons))
    return end(transition, before, Cause(transition.context.now, command.reason))


def stop_sharing(
    transition: Transition,
    before: Agreement | None,
    event: ConsentLost | ReferralWithdrawn | ReferralRecalled,
) -> Decision:
    """End what grew out of a referral whose organisation may read nothing more."""
    reason = RECALLED if isinstance(event, ReferralRecalled) else CONSENT_LOST
    return end(transition, before, Cause(transition.context.now, reason))


def conclude(transition: Transition, before: Agreement | None, event: EvaluationConcluded) -> Decision:
    """Take over what an evaluation decided: a new version may follow, or it is over."""
    if event.decision in _ENDING:
        return end(transition, before, Cause(transition.context.now, event.reason))
    if event.decision == "adjust" and isinstance(before, InForce):
        return transition.moved(replace(before, adjustable=True))
    return Decision(transition.case)


def complete(transition: Transition, before: Open, fired: TimerFired) -> Decision:
    """End the agreement on its last day."""
    return end(transition, before, Cause(fired.due_at, COMPLETED))


def end(transition: Transition, before: Agreement | None, cause: Cause) -> Decision:
    """End an agreement by its earliest cause, and announce it once; keep the cause where it has not begun."""
    case, agreement_id = transition.case, transition.agreement_id
    first = min(cause, case.causes.get(agreement_id, cause))
    transition = replace(transition, case=replace(case, causes={**case.causes, agreement_id: first}))
    if before is None:
        return Decision(transition.case)
    after = _ended(before, first, calendar_of(transition.model).today(first.at))
    if isinstance(before, Ended):
        return transition.moved(after)
    return transition.moved(
        after,
        AgreementEnded(
            agreement_id=agreement_id,
            referral_id=after.about.referral_id,
            organisation_id=after.about.organisation_id,
            reason=after.reason,
            ended_on=after.ended_on,
        ),
    )


def _ended(before: Agreement, cause: Cause, day: date) -> Ended:
    """Return the end of an agreement, with what it had reached."""
    reached = summary_of(before)
    return Ended(
        about=before.about,
        reason=cause.reason,
        ended_on=day,
        held_on=reached.held_on,
        in_force_on=reached.in_force_on,
        terms=reached.terms,
        signed=reached.signed,
        updates=reached.updates,
    )
