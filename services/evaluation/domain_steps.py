"""The steps of an evaluation: voices are heard, and it is decided how it goes on; pure."""

from uuid import UUID

from msgspec.structs import replace

from contracts.evaluation import EvaluationConcluded, GoalAttained, VoiceHeard
from contracts.model import CollaborationModel
from contracts.model_parts import by_code
from services.evaluation.domain_commands import (
    GOING_ON,
    Conclude,
    GoalUnjudged,
    HearVoice,
    ReasonUnknown,
    VoiceMissing,
    WordsMissing,
    words_name,
)
from services.evaluation.domain_states import NEEDED, Concluded, Open, Spoken
from services.evaluation.domain_turns import Place, model_of, today_of, turn, with_evaluation, with_next
from services.evaluation.timers import next_day
from services.kernel.decider.decision import Context, Decision, PrivateValue


def hear_voice(place: Place, evaluation: Open, command: HearVoice, context: Context) -> Decision:
    """Put one person's voice on record; said again, the later words count."""
    words = command.text.strip() if command.answer == "heard" else ""
    if command.answer == "heard" and not words:
        raise WordsMissing
    by, name = context.actor.id, words_name(command.evaluation_id, command.voice, context.actor.id)
    before = next((one for one in evaluation.voices if (one.voice, one.by) == (command.voice, by)), None)
    if before and before.answer == command.answer and context.private.get(name) == words:
        return Decision(place.case)
    on = today_of(place.running.about, context)
    spoken = Spoken(command.voice, command.answer, by, context.actor.role, on)
    voices = (*(one for one in evaluation.voices if one is not before), spoken)
    after = with_evaluation(place.running, command.evaluation_id, replace(evaluation, voices=voices))
    told = VoiceHeard(evaluation_id=command.evaluation_id, voice=command.voice, answer=command.answer)
    decision = turn(place.case, place.agreement_id, after, context, told)
    return replace(decision, private_values=(PrivateValue(context.stream_id, name, words),))


def conclude(place: Place, evaluation: Open, command: Conclude, context: Context) -> Decision:
    """Decide how it goes on; where it does, plan the next evaluation."""
    running, model = place.running, model_of(place.running.about, context)
    _check(command, evaluation, running.plan.goal_ids, model)
    today = today_of(running.about, context)
    concluded = Concluded(
        number=evaluation.number,
        due_on=evaluation.due_on,
        voices=evaluation.voices,
        concluded_on=today,
        decision=command.decision,
        reason=command.reason,
        attained=command.attained,
    )
    told = EvaluationConcluded(
        evaluation_id=command.evaluation_id,
        agreement_id=place.agreement_id,
        organisation_id=running.about.organisation_id,
        decision=command.decision,
        reason=command.reason,
        attained=tuple(
            GoalAttained(goal_id=goal_id, attainment=attainment)
            for goal_id, attainment in command.attained.items()
        ),
    )
    after = with_evaluation(running, command.evaluation_id, concluded)
    day = next_day(today, running.plan, model) if command.decision in GOING_ON else None
    after, planned = with_next(place.agreement_id, after, day)
    decision = turn(place.case, place.agreement_id, after, context, told, *planned)
    return replace(
        decision,
        private_values=(PrivateValue(context.stream_id, f"note:{command.evaluation_id}", command.note),),
    )


def _check(
    command: Conclude, evaluation: Open, goal_ids: tuple[UUID, ...], model: CollaborationModel
) -> None:
    silent = set(NEEDED).difference(one.voice for one in evaluation.voices)
    if silent:
        raise VoiceMissing(", ".join(sorted(silent)))
    if set(command.attained) != set(goal_ids):
        raise GoalUnjudged(f"{len(goal_ids)} goals")
    if command.decision in GOING_ON:
        known = command.reason in GOING_ON[command.decision]
    else:
        known = by_code(model.end_reasons, command.reason) is not None
    if not known:
        raise ReasonUnknown(command.reason)
