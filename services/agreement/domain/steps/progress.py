"""Steps of progress updates: one is reported, or one is missing; pure."""

from datetime import date, timedelta

from msgspec.structs import replace

from contracts.agreement import ProgressNudged, ProgressReported
from services.agreement.domain.commands import ReportProgress
from services.agreement.domain.states import InForce, Update, progress_name
from services.agreement.domain.transition import Transition
from services.kernel.decider.decision import Decision, PrivateValue, TimerFired
from services.kernel.decider.escalation import AUTOMATIC


def report(transition: Transition, before: InForce, command: ReportProgress) -> Decision:
    """Take the organisation's word on how it goes."""
    today, number = transition.today, before.expected.number
    update = replace(before.expected, reported_on=today, trend=command.trend)
    reported = ProgressReported(
        agreement_id=command.agreement_id, number=number, reported_on=today, trend=command.trend
    )
    decision = transition.moved(_counted(before, update, today), reported)
    name = progress_name(command.agreement_id, number)
    return replace(decision, private_values=(PrivateValue(transition.context.stream_id, name, command.text),))


def chase_progress(transition: Transition, before: InForce, fired: TimerFired) -> Decision:
    """Remind the next person of a missing update; after the last reminder it counts as missed."""
    rung = fired.kind.partition(":")[2]
    nudged = ProgressNudged(
        agreement_id=fired.ref,
        organisation_id=before.about.organisation_id,
        number=before.expected.number,
        due_on=before.expected.due_on,
        rung=rung,
    )
    if rung != AUTOMATIC:
        return Decision(transition.case, (nudged,))
    return transition.moved(_counted(before, before.expected, transition.today), nudged)


def _counted(before: InForce, update: Update, today: date) -> InForce:
    """Return the agreement with one update counted, and the next one expected a full interval from today."""
    due_on = today + timedelta(days=before.terms.update_every_days)
    return replace(before, updates=(*before.updates, update), expected=Update(update.number + 1, due_on))
