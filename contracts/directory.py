"""Events of the directory: models, departments, organisations and what they offer."""

from datetime import date
from enum import StrEnum
from typing import ClassVar, Final
from uuid import UUID

from contracts.event import AccessChanged, AccessRefused, Code, Event, Looked, Sha256, Tenant


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


class DirectoryLooked(Looked):
    """An operator has given a command on the directory: `what` names it; nothing in it is about a person."""

    type: ClassVar[str] = "directory.looked.v1"


class AccessRevoked(AccessChanged):
    """A person or a token of this municipality is let in no more."""

    type: ClassVar[str] = "directory.access_revoked.v1"
    revoked: ClassVar[bool] = True


class AccessRestored(AccessChanged):
    """A person or a token of this municipality is let in again."""

    type: ClassVar[str] = "directory.access_restored.v1"
    revoked: ClassVar[bool] = False


ACCESS_EVENTS: Final = (AccessRevoked, AccessRestored)
"""The events by which every service knows whom it lets in no more."""


class DirectoryAccessRefused(AccessRefused):
    """Somebody was refused a step in the directory."""

    type: ClassVar[str] = "directory.access_refused.v1"
