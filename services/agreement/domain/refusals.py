"""Refusals of the agreement service."""

from services.kernel.errors import Refused


class PartyAbsent(Refused):
    """A start-up meeting needs the family, the caseworker and the organisation."""


class MeetingAhead(Refused):
    """A meeting is put on record once it has been held."""


class MeetingEarly(Refused):
    """The start-up meeting is held once the organisation has said yes: write down the day of that meeting."""


class GoalMissing(Refused):
    """An agreement needs at least one goal, in words that say what is aimed at."""


class PurposeUnknown(Refused):
    """Each goal serves one of the purposes of the collaboration model."""


class ActionMissing(Refused):
    """Each goal needs at least one action, and each action a party that answers for it."""


class WantMissing(Refused):
    """Each party says why it wants to take part."""


class DurationMissing(Refused):
    """An agreement needs a first and a last day; the last is in the future and after the first."""


class RhythmTooSlow(Refused):
    """Updates come at least as often as evaluations, and evaluations at least as often as the model says."""


class CostOpen(Refused):
    """What it costs and who pays what is settled before the start, also when it is free."""


class VersionPast(Refused):
    """A newer version is ready: read it before you sign."""


class SignInTooWeak(Refused):
    """Sign in at a higher level of assurance, then sign: the level that is needed is in the details."""


class PartyUnknown(Refused):
    """The young person signs where the rule of consent asks for them."""


class ReasonUnknown(Refused):
    """The collaboration model does not know this reason."""
