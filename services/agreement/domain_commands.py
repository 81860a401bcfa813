"""What can be asked of an agreement, and why it may be refused."""

from datetime import date
from typing import Final, Literal, TypeAlias
from uuid import UUID

from msgspec import Struct

from services.agreement.domain_states import Party, Payer, Trend
from services.kernel.errors import Refused

Attendee: TypeAlias = Literal["child", "family", "caseworker", "organisation", "interpreter", "other"]

MEETING: Final[frozenset[Attendee]] = frozenset({"family", "caseworker", "organisation"})
"""Without these three it was no start-up meeting."""


class ActionSaid(Struct, frozen=True):
    """One thing that is done for a goal, and who answers for it."""

    text: str
    responsible: Party


class GoalSaid(Struct, frozen=True):
    """One goal as the parties word it; the words are sealed."""

    goal_id: UUID
    purpose: str
    responsible: Party
    text: str
    actions: tuple[ActionSaid, ...]


class HoldMeeting(Struct, frozen=True):
    """Put on record that the start-up meeting took place, and who came."""

    agreement_id: UUID
    held_on: date
    attended: tuple[Attendee, ...]


class Propose(Struct, frozen=True, kw_only=True):
    """Lay a version ready to be signed; without a rhythm the model's is meant."""

    agreement_id: UUID
    goals: tuple[GoalSaid, ...]
    starts_on: date
    ends_on: date
    cost: str
    payer: Payer
    cost_text: str = ""
    wants: dict[str, str]
    update_every_days: int | None = None
    evaluate_every_days: int | None = None


class Sign(Struct, frozen=True):
    """Sign one version for one party."""

    agreement_id: UUID
    version: int
    party: Party


class ReportProgress(Struct, frozen=True):
    """Say how it goes."""

    agreement_id: UUID
    trend: Trend
    text: str


class EndAgreement(Struct, frozen=True):
    """Stop the collaboration about the case, for a reason of the model."""

    agreement_id: UUID
    reason: str


Command: TypeAlias = HoldMeeting | Propose | Sign | ReportProgress | EndAgreement


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


class PartyUnknown(Refused):
    """The young person signs where the rule of consent asks for them."""


class ReasonUnknown(Refused):
    """The collaboration model does not know this reason."""
