"""What can be asked of the directory, and what it refuses."""

from datetime import date
from uuid import UUID

from msgspec import Struct

from services.kernel.errors import Refused


class AdoptModel(Struct, frozen=True):
    """Follow one version of a collaboration model from today."""

    model: str
    version: int


class RegisterDepartment(Struct, frozen=True):
    """Name a department that takes part."""

    department_id: UUID
    kind: str
    name: str


class JoinOrganisation(Struct, frozen=True):
    """Let an organisation take part, again, or with a renewed declaration; `terms` is the model's ref."""

    municipality_id: UUID
    name: str
    number: str
    terms: str
    declaration_until: date


class LeaveOrganisation(Struct, frozen=True):
    """Take part no longer."""

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

    places: int


class ModelUnknown(Refused):
    """No such version of a model is installed here: choose one that is."""


class ModelMissing(Refused):
    """The municipality follows no collaboration model yet: adopt one first."""


class CodeUnknown(Refused):
    """The municipality's model does not know this word: choose one that it does."""


class TermsOutdated(Refused):
    """These are not the terms of the model that the municipality follows: accept those."""


class DeclarationMissing(Refused):
    """The child-protection declaration has run out: give one that is valid."""


class AgesOutside(Refused):
    """The offer is for no child of the model's target group: correct its ages."""


class OrganisationMissing(Refused):
    """The organisation does not take part: let it join first."""
