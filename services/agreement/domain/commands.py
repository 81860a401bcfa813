"""Commands on a cooperation agreement."""

from datetime import date
from typing import Final, Literal, TypeAlias
from uuid import UUID

from msgspec import Struct

from services.agreement.domain.states import Party, Payer, Trend

Attendee: TypeAlias = Literal["child", "family", "caseworker", "organisation", "interpreter", "other"]

MEETING: Final[frozenset[Attendee]] = frozenset({"family", "caseworker", "organisation"})
"""Without these three it was no start-up meeting."""


class ActionInput(Struct, frozen=True):
    """One thing that is done for a goal, and who answers for it."""

    text: str
    responsible: Party


class GoalInput(Struct, frozen=True):
    """One goal as the parties word it; the words are private values."""

    goal_id: UUID
    purpose: str
    responsible: Party
    text: str
    actions: tuple[ActionInput, ...]


class HoldMeeting(Struct, frozen=True):
    """Put on record that the start-up meeting took place, and who came."""

    agreement_id: UUID
    held_on: date
    attended: tuple[Attendee, ...]


class Propose(Struct, frozen=True, kw_only=True):
    """Lay a version ready to be signed; without a rhythm the model's is meant."""

    agreement_id: UUID
    goals: tuple[GoalInput, ...]
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
