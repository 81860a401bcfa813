"""Events of the case and its referrals; the stream is the case, or the offer for its places."""

from datetime import date
from typing import ClassVar
from uuid import UUID

from pydantic import AwareDatetime

from contracts.event import AccessRefused, Code, Event, EventDropped, Facts, Looked


class PublicHelp(Facts):
    """Public help that goes on beside the volunteers, and the department that answers for it."""

    kind: Code
    department_id: UUID


class CaseOpened(Event):
    """A caseworker has begun to follow a child under one version of a collaboration model."""

    type: ClassVar[str] = "referral.case_opened.v1"

    department_id: UUID
    caseworker_id: UUID
    model: Code
    model_version: int
    child_id: UUID | None = None


class ViewsNoted(Event):
    """The child's and the family's own view are on record, or why they are not."""

    type: ClassVar[str] = "referral.views_noted.v1"

    child: Code
    family: Code


class EligibilityAssessed(Event):
    """The model's criteria were applied to the case, with a reason for each answer."""

    type: ClassVar[str] = "referral.eligibility_assessed.v1"

    eligible: bool
    reasons: tuple[Code, ...]


class ReferralDrafted(Event):
    """A caseworker has chosen an offer for the case, and named the public help that goes on."""

    type: ClassVar[str] = "referral.drafted.v1"

    referral_id: UUID
    organisation_id: UUID
    offer_id: UUID
    purposes: tuple[Code, ...]
    public_help: tuple[PublicHelp, ...]


class ConsentAwaited(Event):
    """A referral waits until all who must consent have answered."""

    type: ClassVar[str] = "referral.consent_awaited.v1"

    referral_id: UUID
    organisation_id: UUID
    purpose: Code
    facts: tuple[Code, ...]
    model: Code
    model_version: int
    awaited_at: AwareDatetime
    remind_on: date
    lapse_on: date


class ReferralReady(Event):
    """The last consent needed was given; the referral may be sent."""

    type: ClassVar[str] = "referral.ready.v1"

    referral_id: UUID
    send_by: date


class ReferralSent(Event):
    """A municipality has asked one organisation to take one case into one offer."""

    type: ClassVar[str] = "referral.sent.v1"

    referral_id: UUID
    organisation_id: UUID
    offer_id: UUID
    sent_at: AwareDatetime
    answer_by: date


class ReferralSeen(Event):
    """The organisation's coordinator has opened the referral."""

    type: ClassVar[str] = "referral.seen.v1"

    referral_id: UUID
    organisation_id: UUID
    seen_at: AwareDatetime


class ReferralAccepted(Event):
    """The organisation takes the case and has a place for it."""

    type: ClassVar[str] = "referral.accepted.v1"

    referral_id: UUID
    organisation_id: UUID
    offer_id: UUID
    purposes: tuple[Code, ...]
    model: Code
    model_version: int
    accepted_at: AwareDatetime
    meeting_by: date


class ReferralDeclined(Event):
    """The organisation cannot take the case; its copy is purged."""

    type: ClassVar[str] = "referral.declined.v1"

    referral_id: UUID
    organisation_id: UUID
    reason: Code


class ReferralRecalled(Event):
    """The municipality takes a referral back; the organisation confirms that it deleted its copy."""

    type: ClassVar[str] = "referral.recalled.v1"

    referral_id: UUID
    organisation_id: UUID
    reason: Code
    delete_by: date


class ReferralWithdrawn(Event):
    """A consent behind the referral was lost: sharing has stopped and the copy must go."""

    type: ClassVar[str] = "referral.withdrawn.v1"

    referral_id: UUID
    organisation_id: UUID
    reason: Code
    delete_by: date


class ReferralExpired(Event):
    """There was no answer in time: the referral has ended by itself."""

    type: ClassVar[str] = "referral.expired.v1"

    referral_id: UUID
    organisation_id: UUID
    step: Code


class ReferralNudged(Event):
    """A deadline is near or past; the next person responsible is notified."""

    type: ClassVar[str] = "referral.nudged.v1"

    referral_id: UUID
    organisation_id: UUID
    step: Code
    rung: Code


class ReferralUnderWay(Event):
    """The agreement is in force; the referral has done its work."""

    type: ClassVar[str] = "referral.under_way.v1"

    referral_id: UUID


class ReferralClosed(Event):
    """The agreement behind the referral has ended."""

    type: ClassVar[str] = "referral.closed.v1"

    referral_id: UUID
    reason: Code


class DeletionConfirmed(Event):
    """The organisation has confirmed that its copy of a stopped referral is deleted."""

    type: ClassVar[str] = "referral.deletion_confirmed.v1"

    referral_id: UUID
    organisation_id: UUID


class CaseClosed(Event):
    """The case is followed no longer."""

    type: ClassVar[str] = "referral.case_closed.v1"

    reason: Code


class PlaceTaken(Event):
    """A referral has taken a place; the stream is the offer."""

    type: ClassVar[str] = "referral.place_taken.v1"

    referral_id: UUID
    taken: int


class PlaceReleased(Event):
    """A referral has given its place back; the stream is the offer."""

    type: ClassVar[str] = "referral.place_released.v1"

    referral_id: UUID
    taken: int


class CaseLooked(Looked):
    """Somebody has read a case's personal data in the referral service."""

    type: ClassVar[str] = "referral.looked.v1"


class CaseAccessRefused(AccessRefused):
    """Somebody was refused data or a step in the referral service."""

    type: ClassVar[str] = "referral.access_refused.v1"


class CaseEventDropped(EventDropped):
    """An operator has discarded an event that the referral service could not apply."""

    type: ClassVar[str] = "referral.event_dropped.v1"
