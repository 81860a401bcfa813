"""Events of consent: a record per person who must consent, a result per referral; the stream is the case."""

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


class ConsentGiven(Event):
    """One person has given the requested consent, until a day."""

    type: ClassVar[str] = "consent.given.v1"

    consent_id: UUID
    referral_id: UUID
    holder_id: UUID
    given_at: AwareDatetime
    expires_at: AwareDatetime


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
