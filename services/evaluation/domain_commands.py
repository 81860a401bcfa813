"""What can be asked of an evaluation, and why it may be refused."""

from collections.abc import Mapping
from typing import Final, TypeAlias
from uuid import UUID

from msgspec import Struct

from services.evaluation.domain_states import Answer, Attainment, Choice, Moment, Voice
from services.kernel.errors import Refused

GOING_ON: Final[Mapping[str, tuple[str, ...]]] = {
    "continue": ("it_works", "needs_time"),
    "adjust": ("works_in_part", "needs_changed", "goals_changed"),
}
"""Why it goes on, as it is or otherwise; why it stops is said in a reason of the collaboration model."""


def words_name(evaluation_id: UUID, voice: Voice, by: UUID) -> str:
    """Return the name under which one person's words in an evaluation lie sealed."""
    return f"words:{evaluation_id}:{voice}:{by}"


class HearVoice(Struct, frozen=True):
    """Put one voice on record: what it said, or that it would rather not."""

    evaluation_id: UUID
    voice: Voice
    answer: Answer
    text: str = ""


class Conclude(Struct, frozen=True):
    """Decide how it goes on, with how far each goal was reached; the note is sealed."""

    evaluation_id: UUID
    decision: Choice
    reason: str
    attained: dict[UUID, Attainment]
    note: str = ""


class TakeMeasurement(Struct, frozen=True):
    """Put the child's scores on the model's dimensions on record; the scores are sealed."""

    agreement_id: UUID
    measurement_id: UUID
    moment: Moment
    scores: dict[str, float]


Command: TypeAlias = HearVoice | Conclude | TakeMeasurement


class VoiceMissing(Refused):
    """The child, the family and the organisation are each heard, or decline, before anything is concluded."""


class WordsMissing(Refused):
    """A voice that was heard has said something: write it down."""


class GoalUnjudged(Refused):
    """An evaluation looks at each goal of the agreement, and at no other."""


class ReasonUnknown(Refused):
    """Choose a reason that belongs to this decision."""


class DimensionUnknown(Refused):
    """The collaboration model does not measure this."""


class ScoreMissing(Refused):
    """A measurement needs at least one score; what was not answered is left out."""


class ScoreOffScale(Refused):
    """This score lies outside the dimension's scale."""


class StartPast(Refused):
    """The collaboration has ended: how it was at the start cannot be measured any more."""


class AfterTooEarly(Refused):
    """The measurement after the collaboration is taken when the time that the model names has passed."""
