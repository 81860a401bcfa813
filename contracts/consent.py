"""Events of consent: a record per person who must consent, a result per referral; the stream is the case."""

from datetime import date
from typing import ClassVar
from uuid import UUID

from pydantic import AwareDatetime

from contracts.event import AccessRefused, Code, Event, EventDropped, Looked, Sha256, Ticked


class CustodyRecorded(Event):
    """It is on record who holds parental responsibility, and by which rule they must consent."""

    type: ClassVar[str] = "consent.custody_recorded.v1"

    holder_ids: tuple[UUID, ...]
    young_person_id: UUID | None = None
    quorum: Code
    rule: Code
    recorded_at: AwareDatetime | None = None  # stays where only the rule changed, with the child's age


class CustodyConfirmed(Event):
    """A second employee has confirmed who holds parental responsibility, as it was recorded at that time."""

    type: ClassVar[str] = "consent.custody_confirmed.v1"

    recorded_at: AwareDatetime


class CustodyConfirmationAwaited(Event):
    """All who must consent have said yes; a second employee has yet to confirm who they are."""

    type: ClassVar[str] = "consent.custody_confirmation_awaited.v1"

    referral_id: UUID
    confirm_by: date


class ConsentRequested(Event):
    """One person's consent is requested: that named facts reach one organisation for one purpose."""

    type: ClassVar[str] = "consent.requested.v1"

    consent_id: UUID
    referral_id: UUID
    organisation_id: UUID
    holder_id: UUID
    purpose: Code
    facts: tuple[Code, ...]
    text_id: Code
    text_sha256: Sha256
    language: Code


class ConsentMinuted(Event):
    """An employee has minuted one person's yes; it permits nothing until a second employee confirms it."""

    type: ClassVar[str] = "consent.minuted.v1"

    consent_id: UUID
    referral_id: UUID
    holder_id: UUID
    evidence: Code
    confirm_by: date


class ConsentUnconfirmed(Event):
    """A minuted yes was rejected by an employee, or not confirmed in time: the person is asked anew."""

    type: ClassVar[str] = "consent.unconfirmed.v1"

    consent_id: UUID
    referral_id: UUID
    holder_id: UUID
    reason: Code


class ConfirmationNudged(Event):
    """A minuted yes still waits for a second employee; `rung` is the next step of the escalation."""

    type: ClassVar[str] = "consent.confirmation_nudged.v1"

    consent_id: UUID
    referral_id: UUID
    confirm_by: date
    rung: Code


class ConsentGiven(Event):
    """One person has given the requested consent, until a day; `told_by`: how they learnt of its minute."""

    type: ClassVar[str] = "consent.given.v1"

    consent_id: UUID
    referral_id: UUID
    holder_id: UUID
    given_at: AwareDatetime
    expires_at: AwareDatetime
    evidence: Code | None = None
    told_by: Code | None = None


class ConsentRefused(Event):
    """One person has said no."""

    type: ClassVar[str] = "consent.refused.v1"

    consent_id: UUID
    referral_id: UUID
    holder_id: UUID


class ConsentWithdrawn(Event):
    """One person has taken a consent back."""

    type: ClassVar[str] = "consent.withdrawn.v1"

    consent_id: UUID
    referral_id: UUID
    holder_id: UUID
    withdrawn_at: AwareDatetime


class ConsentExpired(Event):
    """A request was not answered in time, or a given consent has run out."""

    type: ClassVar[str] = "consent.expired.v1"

    consent_id: UUID
    referral_id: UUID
    holder_id: UUID
    was: Code


class ConsentGranted(Event):
    """All who must consent have done so: the facts may reach the organisation until a time."""

    type: ClassVar[str] = "consent.granted.v1"

    referral_id: UUID
    organisation_id: UUID
    purpose: Code
    facts: tuple[Code, ...]
    until: AwareDatetime


class ConsentLost(Event):
    """The facts may not, or no longer, reach the organisation."""

    type: ClassVar[str] = "consent.lost.v1"

    referral_id: UUID
    organisation_id: UUID
    purpose: Code
    reason: Code


class ConsentTicked(Ticked):
    """Every consent and withdrawal committed before `at` has been sent down this partition."""

    type: ClassVar[str] = "consent.ticked.v1"


class ConsentLooked(Looked):
    """Somebody has read personal data in the consent service."""

    type: ClassVar[str] = "consent.looked.v1"


class ConsentAccessRefused(AccessRefused):
    """Somebody was refused data or a step in the consent service."""

    type: ClassVar[str] = "consent.access_refused.v1"


class ConsentEventDropped(EventDropped):
    """An operator has discarded an event that the consent service could not apply."""

    type: ClassVar[str] = "consent.event_dropped.v1"
