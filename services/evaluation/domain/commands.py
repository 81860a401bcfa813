"""Commands on an evaluation and on the measurements of a collaboration."""

from collections.abc import Mapping
from typing import Final, TypeAlias
from uuid import UUID

from msgspec import Struct

from services.evaluation.domain.states import Answer, Attainment, Choice, Moment, Voice

GOING_ON: Final[Mapping[str, tuple[str, ...]]] = {
    "continue": ("it_works", "needs_time"),
    "adjust": ("works_in_part", "needs_changed", "goals_changed"),
}
"""Why it goes on, as it is or otherwise; why it stops is said in a reason of the collaboration model."""


class HearVoice(Struct, frozen=True):
    """Put one voice on record: what it said, or that it would rather not."""

    evaluation_id: UUID
    voice: Voice
    answer: Answer
    text: str = ""


class Conclude(Struct, frozen=True):
    """Decide how it goes on, with how far each goal was reached; the note is a private value."""

    evaluation_id: UUID
    decision: Choice
    reason: str
    attained: dict[UUID, Attainment]
    note: str = ""


class TakeMeasurement(Struct, frozen=True):
    """Put the child's scores on the model's dimensions on record; the scores are private values."""

    agreement_id: UUID
    measurement_id: UUID
    moment: Moment
    scores: dict[str, float]


Command: TypeAlias = HearVoice | Conclude | TakeMeasurement
