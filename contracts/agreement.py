"""Events of the cooperation agreement; the stream is the case."""

from datetime import date
from typing import ClassVar
from uuid import UUID

from contracts.event import AccessRefused, Code, Event, EventDropped, Facts, Looked


class GoalOutline(Facts):
    """One goal without its words: which purpose it serves and which party answers for it."""

    goal_id: UUID
    purpose: Code
    responsible: Code


class MeetingInvited(Event):
    """Family, caseworker and organisation are invited to a start-up meeting."""

    type: ClassVar[str] = "agreement.meeting_invited.v1"

    agreement_id: UUID
    referral_id: UUID
    organisation_id: UUID
    meeting_by: date


class MeetingHeld(Event):
    """The start-up meeting took place."""

    type: ClassVar[str] = "agreement.meeting_held.v1"

    agreement_id: UUID
    referral_id: UUID
    held_on: date
    attended: tuple[Code, ...]


class AgreementProposed(Event):
    """A version of the agreement lies ready to be signed by all parties."""

    type: ClassVar[str] = "agreement.proposed.v1"

    agreement_id: UUID
    referral_id: UUID
    organisation_id: UUID
    version: int
    goals: tuple[GoalOutline, ...]
    starts_on: date
    ends_on: date
    update_every_days: int
    evaluate_every_days: int
    cost: Code


class AgreementSigned(Event):
    """One party has signed one version."""

    type: ClassVar[str] = "agreement.signed.v1"

    agreement_id: UUID
    version: int
    party: Code


class AgreementInForce(Event):
    """All parties have signed; the volunteers begin."""

    type: ClassVar[str] = "agreement.in_force.v1"

    agreement_id: UUID
    referral_id: UUID
    organisation_id: UUID
    version: int
    goal_ids: tuple[UUID, ...]
    model: Code
    model_version: int
    starts_on: date
    ends_on: date
    update_every_days: int
    evaluate_every_days: int


class ProgressReported(Event):
    """The organisation has reported how it goes."""

    type: ClassVar[str] = "agreement.progress_reported.v1"

    agreement_id: UUID
    number: int
    reported_on: date
    trend: Code


class ProgressNudged(Event):
    """A progress update is near due or missing; the next person responsible is notified."""

    type: ClassVar[str] = "agreement.progress_nudged.v1"

    agreement_id: UUID
    organisation_id: UUID
    number: int
    due_on: date
    rung: Code


class MeetingNudged(Event):
    """The start-up meeting is near due or late; the next person responsible is notified."""

    type: ClassVar[str] = "agreement.meeting_nudged.v1"

    agreement_id: UUID
    organisation_id: UUID
    meeting_by: date
    rung: Code


class AgreementEnded(Event):
    """The collaboration about the case has ended."""

    type: ClassVar[str] = "agreement.ended.v1"

    agreement_id: UUID
    referral_id: UUID
    organisation_id: UUID
    reason: Code
    ended_on: date


class AgreementLooked(Looked):
    """Somebody has read personal data in the agreement service."""

    type: ClassVar[str] = "agreement.looked.v1"


class AgreementAccessRefused(AccessRefused):
    """Somebody was refused data or a step in the agreement service."""

    type: ClassVar[str] = "agreement.access_refused.v1"


class AgreementEventDropped(EventDropped):
    """An operator has discarded an event that the agreement service could not apply."""

    type: ClassVar[str] = "agreement.event_dropped.v1"
