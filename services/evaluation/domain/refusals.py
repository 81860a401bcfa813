"""Refusals of the evaluation service."""

from services.kernel.errors import Refused


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
