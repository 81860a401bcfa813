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
from services.kernel.decider.decision import Decision, Given, Seal


def hear_voice(place: Place, evaluation: Open, asked: HearVoice, given: Given) -> Decision:
    """Put one person's voice on record; said again, the later words count."""
    words = asked.text.strip() if asked.answer == "heard" else ""
    if asked.answer == "heard" and not words:
        raise WordsMissing
    by, name = given.actor.id, words_name(asked.evaluation_id, asked.voice, given.actor.id)
    before = next((one for one in evaluation.voices if (one.voice, one.by) == (asked.voice, by)), None)
    if before and before.answer == asked.answer and given.private.get(name) == words:
        return Decision(place.case)
    on = today_of(place.running.about, given)
    spoken = Spoken(asked.voice, asked.answer, by, given.actor.role, on)
    voices = (*(one for one in evaluation.voices if one is not before), spoken)
    after = with_evaluation(place.running, asked.evaluation_id, replace(evaluation, voices=voices))
    told = VoiceHeard(evaluation_id=asked.evaluation_id, voice=asked.voice, answer=asked.answer)
    decision = turn(place.case, place.agreement_id, after, given, told)
    return replace(decision, seals=(Seal(given.stream_id, name, words),))


def conclude(place: Place, evaluation: Open, asked: Conclude, given: Given) -> Decision:
    """Decide how it goes on; where it does, plan the next evaluation."""
    running, model = place.running, model_of(place.running.about, given)
    _check(asked, evaluation, running.plan.goal_ids, model)
    today = today_of(running.about, given)
    concluded = Concluded(
        number=evaluation.number,
        due_on=evaluation.due_on,
        voices=evaluation.voices,
        concluded_on=today,
        decision=asked.decision,
        reason=asked.reason,
        attained=asked.attained,
    )
    told = EvaluationConcluded(
        evaluation_id=asked.evaluation_id,
        agreement_id=place.agreement_id,
        organisation_id=running.about.organisation_id,
        decision=asked.decision,
        reason=asked.reason,
        attained=tuple(
            GoalAttained(goal_id=goal_id, attainment=attainment)
            for goal_id, attainment in asked.attained.items()
        ),
    )
    after = with_evaluation(running, asked.evaluation_id, concluded)
    day = next_day(today, running.plan, model) if asked.decision in GOING_ON else None
    after, planned = with_next(place.agreement_id, after, day)
    decision = turn(place.case, place.agreement_id, after, given, told, *planned)
    return replace(decision, seals=(Seal(given.stream_id, f"note:{asked.evaluation_id}", asked.note),))


def _check(asked: Conclude, evaluation: Open, goal_ids: tuple[UUID, ...], model: CollaborationModel) -> None:
    silent = set(NEEDED).difference(one.voice for one in evaluation.voices)
    if silent:
        raise VoiceMissing(", ".join(sorted(silent)))
    if set(asked.attained) != set(goal_ids):
        raise GoalUnjudged(f"{len(goal_ids)} goals")
    if asked.decision in GOING_ON:
        known = asked.reason in GOING_ON[asked.decision]
    else:
        known = by_code(model.end_reasons, asked.reason) is not None
    if not known:
        raise ReasonUnknown(asked.reason)
