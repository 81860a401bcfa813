"""Events of the directory: models, departments, organisations and their offers, accounts and their roles."""

from datetime import date
from enum import StrEnum
from typing import ClassVar, Final
from uuid import UUID

from contracts.event import AccessChanged, AccessRefused, Code, Event, EventDropped, Looked, Sha256, Tenant


class WhyLeft(StrEnum):
    """Why an organisation takes part no longer; readers must expect words that are new to them."""

    OWN_WISH = "own_wish"  # it wants to
    TOO_FEW_VOLUNTEERS = "too_few_volunteers"  # it cannot keep what it offered
    DISSOLVED = "dissolved"  # the association exists no longer
    MERGED = "merged"  # it goes on as part of another
    DECLARATION_EXPIRED = "declaration_expired"  # its child-protection declaration was not renewed
    TERMS_NOT_ACCEPTED = "terms_not_accepted"  # those of a later model
    TERMS_BROKEN = "terms_broken"  # the municipality ends it
    ENTERED_IN_ERROR = "entered_in_error"


class ModelAdopted(Event):
    """A municipality follows one version of a collaboration model from now on."""

    type: ClassVar[str] = "directory.model_adopted.v1"

    model: Code
    version: int
    sha256: Sha256


class DepartmentRegistered(Event):
    """A municipality has named a department that takes part."""

    type: ClassVar[str] = "directory.department_registered.v1"

    department_id: UUID
    kind: Code


class OrganisationJoined(Event):
    """An organisation has accepted the model's terms and declared its child protection."""

    type: ClassVar[str] = "directory.organisation_joined.v1"

    organisation_id: UUID
    terms: Code
    joined_on: date
    declaration_until: date


class OrganisationLeft(Event):
    """An organisation no longer takes part."""

    type: ClassVar[str] = "directory.organisation_left.v1"

    organisation_id: UUID
    reason: Code
    left_on: date


class OfferPublished(Event):
    """An organisation has published what it can do, for whom, and for how many at a time."""

    type: ClassVar[str] = "directory.offer_published.v1"

    offer_id: UUID
    organisation_id: UUID
    theme: Code
    format: Code
    age_from: int
    age_to: int
    areas: tuple[Tenant, ...]
    price: Code
    places: int


class CapacityChanged(Event):
    """An organisation has corrected how many places an offer has."""

    type: ClassVar[str] = "directory.capacity_changed.v1"

    offer_id: UUID
    places: int
    as_of: date


class AccountOpened(Event):
    """A person has an account in this municipality; the stream is the account."""

    type: ClassVar[str] = "directory.account_opened.v1"


class DetailsRecorded(Event):
    """It is on record what an account's holder is called and how they are reached; who stands in for them."""

    type: ClassVar[str] = "directory.details_recorded.v1"

    deputy_id: UUID | None = None


class IdentityBound(Event):
    """An account has an identity more by which its holder signs in; `kind` says how it was proved."""

    type: ClassVar[str] = "directory.identity_bound.v1"

    kind: Code


class MembershipGiven(Event):
    """An account has a role in a department, an organisation or the municipality, or a family."""

    type: ClassVar[str] = "directory.membership_given.v1"

    membership_id: UUID
    role: Code
    department_id: UUID | None = None
    organisation_id: UUID | None = None
    since: date
    until: date | None = None


class MembershipRenewed(Event):
    """A role goes on until another day, or without one."""

    type: ClassVar[str] = "directory.membership_renewed.v1"

    membership_id: UUID
    until: date | None = None


class MembershipEndsSoon(Event):
    """A role ends in some days, unless it is renewed or handed over."""

    type: ClassVar[str] = "directory.membership_ends_soon.v1"

    membership_id: UUID
    role: Code
    department_id: UUID | None = None
    organisation_id: UUID | None = None
    until: date


class MembershipEnded(Event):
    """A role has ended; `last_day` is the last whole day on which it was there."""

    type: ClassVar[str] = "directory.membership_ended.v1"

    membership_id: UUID
    role: Code
    department_id: UUID | None = None
    organisation_id: UUID | None = None
    last_day: date
    reason: Code


class MembershipHandedOver(Event):
    """Another account has taken a role over: what waits for the one waits for the other from now on."""

    type: ClassVar[str] = "directory.membership_handed_over.v1"

    membership_id: UUID
    role: Code
    department_id: UUID | None = None
    organisation_id: UUID | None = None
    to_account_id: UUID
    to_membership_id: UUID


class PersonBound(Event):
    """Somebody of a family can sign in; the stream is the person, as custody and consents name them."""

    type: ClassVar[str] = "directory.person_bound.v1"

    role: Code


class PersonReleased(Event):
    """Somebody of a family can sign in no more; the stream is the person."""

    type: ClassVar[str] = "directory.person_released.v1"


class InvitationMade(Event):
    """Somebody is invited to a role by a code that is used once; the stream is the invitation."""

    type: ClassVar[str] = "directory.invitation_made.v1"

    role: Code
    department_id: UUID | None = None
    organisation_id: UUID | None = None
    expires_on: date


class InvitationUsed(Event):
    """Somebody has signed in with the code of an invitation, and has the role."""

    type: ClassVar[str] = "directory.invitation_used.v1"

    account_id: UUID


class InvitationLapsed(Event):
    """The code of an invitation was not used in time."""

    type: ClassVar[str] = "directory.invitation_lapsed.v1"


class InvitationRevoked(Event):
    """An invitation was taken back before its code was used."""

    type: ClassVar[str] = "directory.invitation_revoked.v1"


class CodeRejected(Event):
    """Somebody who signed in gave a code that no invitation has; the stream counts a municipality's."""

    type: ClassVar[str] = "directory.code_rejected.v1"


class MachineRegistered(Event):
    """A program of this municipality, or of an organisation, has an account, and proves itself by a key."""

    type: ClassVar[str] = "directory.machine_registered.v1"

    key_sha256: Sha256


class DirectoryLooked(Looked):
    """Somebody has read names of accounts; an operator's commands are among them."""

    type: ClassVar[str] = "directory.looked.v1"


class AccessRevoked(AccessChanged):
    """A person, a membership or a token of this municipality is let in no more."""

    type: ClassVar[str] = "directory.access_revoked.v1"
    revoked: ClassVar[bool] = True


class AccessRestored(AccessChanged):
    """A person, a membership or a token of this municipality is let in again."""

    type: ClassVar[str] = "directory.access_restored.v1"
    revoked: ClassVar[bool] = False


ACCESS_EVENTS: Final = (AccessRevoked, AccessRestored)
"""The events by which every service knows whom it lets in no more."""


class DirectoryAccessRefused(AccessRefused):
    """Somebody was refused a step in the directory."""

    type: ClassVar[str] = "directory.access_refused.v1"


class DirectoryEventDropped(EventDropped):
    """An operator has discarded an event that the directory could not apply."""

    type: ClassVar[str] = "directory.event_dropped.v1"
