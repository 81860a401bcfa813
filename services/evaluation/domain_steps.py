"""The steps of evaluations and measurements; pure."""

from datetime import date
from uuid import UUID

from msgspec.structs import replace

from contracts.evaluation import (
    DimensionChange,
    EvaluationConcluded,
    EvaluationPlanned,
    GoalAttained,
    MeasurementTaken,
    OutcomeReckoned,
    VoiceHeard,
)
from contracts.event import Event
from contracts.model import CollaborationModel
from contracts.model_parts import by_code
from services.evaluation.domain_commands import (
    GOING_ON,
    AfterTooEarly,
    Conclude,
    GoalUnjudged,
    HearVoice,
    ReasonUnknown,
    StartPast,
    TakeMeasurement,
    VoiceMissing,
    WordsMissing,
)
from services.evaluation.domain_outcome import changes, check_scores
from services.evaluation.domain_states import (
    NEEDED,
    About,
    Case,
    Change,
    Collaboration,
    Concluded,
    Evaluation,
    Measured,
    Moment,
    Open,
    Over,
    Planned,
    Running,
    Spoken,
    evaluation_of,
)
from services.evaluation.timers import calendar_of, months_after, next_day, timers_of, turned
from services.kernel.decision import Decision, Given, Seal


def hear_voice(
    case: Case, running: Running, evaluation: Open, asked: HearVoice, given: Given
) -> Decision:
    """Put one person's voice on record; said again, the later words count."""
    if asked.answer == "heard" and not asked.text.strip():
        raise WordsMissing
    actor, name = given.actor, voice_name(asked.evaluation_id, asked.voice, given.actor.id)
    spoken = Spoken(asked.voice, asked.answer, actor.id, actor.role, today_of(running.about, given))
    others = tuple(one for one in evaluation.voices if (one.voice, one.by) != (asked.voice, actor.id))
    before = next((one for one in evaluation.voices if one not in others), None)
    words = asked.text if asked.answer == "heard" else ""
    if before and before.answer == asked.answer and given.private.get(name, "") == words:
        return Decision(case)
    after = replace(evaluation, voices=(*others, spoken))
    told = VoiceHeard(evaluation_id=asked.evaluation_id, voice=asked.voice, answer=asked.answer)
    agreement_id = case.holding(asked.evaluation_id) or asked.evaluation_id
    decision = turn(case, agreement_id, with_evaluation(running, asked.evaluation_id, after), given, told)
    return replace(decision, seals=(Seal(given.stream_id, name, words),))


def voice_name(evaluation_id: UUID, voice: str, by: UUID) -> str:
    """Return the name under which one person's words lie sealed."""
    return f"voice:{evaluation_id}:{voice}:{by}"


def conclude(case: Case, agreement_id: UUID, asked: Conclude, given: Given) -> Decision:
    """Decide how it goes on; where it does, plan the next evaluation."""
    running, evaluation = case.collaborations[agreement_id], None
    raise NotImplementedError
