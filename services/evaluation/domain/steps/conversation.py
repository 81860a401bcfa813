"""Steps of an evaluation: it falls due, voices are put on record, and the parties decide; pure."""

from datetime import date, timedelta
from uuid import UUID

from msgspec.structs import replace

from contracts.evaluation import (
    EvaluationConcluded,
    EvaluationDue,
    EvaluationNudged,
    GoalAttained,
    VoiceHeard,
)
from contracts.model import CollaborationModel
from services.evaluation.domain.commands import GOING_ON, Conclude, HearVoice
from services.evaluation.domain.deadlines import next_day
from services.evaluation.domain.refusals import GoalUnjudged, ReasonUnknown, VoiceMissing, WordsMissing
from services.evaluation.domain.states import (
    NEEDED,
    Concluded,
    Due,
    Missed,
    Open,
    Plan,
    Planned,
    Spoken,
    note_name,
    words_name,
)
from services.evaluation.domain.transition import Transition, with_next, wrong_moment
from services.kernel.decider.decision import Decision, PrivateValue, TimerFired
from services.kernel.decider.escalation import AUTOMATIC, DUE


def fall_due(transition: Transition, before: Planned | Due, fired: TimerFired) -> Decision:
    """Ask for the voices when the day comes, and remind; after the last reminder it counts as missed."""
    rung, about = fired.kind.partition(":")[2], transition.collaboration.about
    if rung == DUE:
        return _ask_for_voices(transition, before)
    nudged = EvaluationNudged(
        evaluation_id=fired.ref, organisation_id=about.organisation_id, due_on=before.due_on, rung=rung
    )
    if rung != AUTOMATIC:
        return Decision(transition.case, (nudged,))
    missed = Missed(number=before.number, due_on=before.due_on, voices=before.voices)
    plan = transition.collaboration.plan
    day = _day_after_missed(missed, plan, transition.today, transition.model)
    after, planned = with_next(transition.agreement_id, transition.with_evaluation(missed), day)
    return transition.moved(after, nudged, *planned)


def _ask_for_voices(transition: Transition, before: Planned | Due) -> Decision:
    due = Due(number=before.number, due_on=before.due_on, voices=before.voices)
    event = EvaluationDue(
        evaluation_id=transition.about,
        agreement_id=transition.agreement_id,
        organisation_id=transition.collaboration.about.organisation_id,
        due_on=due.due_on,
    )
    return transition.moved(transition.with_evaluation(due), event)


def _day_after_missed(missed: Missed, plan: Plan, today: date, model: CollaborationModel) -> date | None:
    """Return the next day of the rhythm that lies ahead, so that no two are further apart than agreed."""
    interval = timedelta(days=plan.evaluate_every_days)
    return next_day(missed.due_on if missed.due_on + interval > today else today, plan, model)


def hear_voice(transition: Transition, before: Open, command: HearVoice) -> Decision:
    """Put one person's voice on record; of the same person the later words count."""
    words = command.text.strip() if command.answer == "heard" else ""
    if command.answer == "heard" and not words:
        raise WordsMissing
    actor = transition.context.actor
    name = words_name(command.evaluation_id, command.voice, actor.id)
    old = next((one for one in before.voices if (one.voice, one.by) == (command.voice, actor.id)), None)
    if old and old.answer == command.answer and transition.context.private.get(name) == words:
        return Decision(transition.case)
    spoken = Spoken(command.voice, command.answer, actor.id, actor.role, transition.today)
    voices = (*(one for one in before.voices if one is not old), spoken)
    after = transition.with_evaluation(replace(before, voices=voices))
    event = VoiceHeard(evaluation_id=command.evaluation_id, voice=command.voice, answer=command.answer)
    private = PrivateValue(transition.context.stream_id, name, words)
    return replace(transition.moved(after, event), private_values=(private,))


def conclude(transition: Transition, before: Open, command: Conclude) -> Decision:
    """Decide how it goes on; where it does, plan the next evaluation."""
    collaboration, model, today = transition.collaboration, transition.model, transition.today
    _check(command, before, collaboration.plan.goal_ids, model)
    concluded = Concluded(
        number=before.number,
        due_on=before.due_on,
        voices=before.voices,
        concluded_on=today,
        decision=command.decision,
        reason=command.reason,
        attained=command.attained,
    )
    event = EvaluationConcluded(
        evaluation_id=command.evaluation_id,
        agreement_id=transition.agreement_id,
        organisation_id=collaboration.about.organisation_id,
        decision=command.decision,
        reason=command.reason,
        attained=tuple(
            GoalAttained(goal_id=goal_id, attainment=attainment)
            for goal_id, attainment in command.attained.items()
        ),
    )
    day = next_day(today, collaboration.plan, model) if command.decision in GOING_ON else None
    after, planned = with_next(transition.agreement_id, transition.with_evaluation(concluded), day)
    private = PrivateValue(transition.context.stream_id, note_name(command.evaluation_id), command.note)
    return replace(transition.moved(after, event, *planned), private_values=(private,))


def already_concluded(transition: Transition, before: Concluded, command: Conclude) -> Decision:
    """Change nothing where the same conclusion comes again; raise `InvalidTransition` for another."""
    same = (command.decision, command.reason, command.attained)
    if same != (before.decision, before.reason, before.attained):
        raise wrong_moment(before, command)
    return Decision(transition.case)


def _check(
    command: Conclude, evaluation: Open, goal_ids: tuple[UUID, ...], model: CollaborationModel
) -> None:
    silent = set(NEEDED).difference(one.voice for one in evaluation.voices)
    if silent:
        raise VoiceMissing(", ".join(sorted(silent)))
    if set(command.attained) != set(goal_ids):
        raise GoalUnjudged(f"{len(goal_ids)} goals")
    reasons = GOING_ON.get(command.decision) or [reason.code for reason in model.end_reasons]
    if command.reason not in reasons:
        raise ReasonUnknown(", ".join(reasons))
