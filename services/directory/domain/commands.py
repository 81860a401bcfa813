"""Commands of the directory; each names the municipality where the step follows its model."""

from datetime import date
from uuid import UUID

from msgspec import Struct


class RevokeAccess(Struct, frozen=True):
    """Let a person in no more, or the bearer of one token by the SHA-256 of its id."""

    person_id: UUID | None = None
    token_sha256: str | None = None

    @property
    def subject(self) -> str:
        """The person or the token, as one text."""
        return str(self.person_id or self.token_sha256)


class RestoreAccess(RevokeAccess, frozen=True):
    """Let a person in again, or the bearer of one token."""


class AdoptModel(Struct, frozen=True):
    """Follow one version of a collaboration model from today."""

    model: str
    version: int


class RegisterDepartment(Struct, frozen=True):
    """Name a department that takes part; `again` where it is to be one that did before."""

    department_id: UUID
    kind: str
    name: str
    again: bool = False


class JoinOrganisation(Struct, frozen=True):
    """Let an organisation take part; `again` where it is to be one that did before, which may renew.

    `terms` is the model's ref.
    """

    municipality_id: UUID
    name: str
    number: str
    terms: str
    declaration_until: date
    again: bool = False


class LeaveOrganisation(Struct, frozen=True):
    """Take part no longer."""

    municipality_id: UUID
    reason: str


class PublishOffer(Struct, frozen=True):
    """Put an offer into the catalogue; `age_to` is the last full year."""

    municipality_id: UUID
    organisation_id: UUID
    title: str
    theme: str
    format: str
    age_from: int
    age_to: int
    areas: tuple[str, ...]
    price: str
    places: int


class ChangeCapacity(Struct, frozen=True):
    """Correct how many places an offer has."""

    municipality_id: UUID
    places: int
