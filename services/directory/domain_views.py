"""What everybody may see of the directory: who takes part since when, and what is offered; pure."""

from datetime import date
from uuid import UUID

from pydantic import BaseModel

from contracts.model import CollaborationModel
from services.directory.domain_states import Joined, Left, Municipality, Organisation


class OrganisationRow(BaseModel):
    """An organisation as the list shows it."""

    organisation_id: UUID
    name: str
    number: str
    status: str
    joined_on: date | None
    left_on: date | None
    declaration_until: date | None
    version: int


class PeriodView(BaseModel):
    """A time in which an organisation took part; still open without a last day."""

    joined_on: date
    left_on: date | None
    reason: str | None


class OrganisationView(BaseModel):
    """An organisation and every time in which it took part, the latest last."""

    organisation_id: UUID
    version: int
    name: str
    number: str
    status: str
    terms: str | None
    declaration_until: date | None
    periods: list[PeriodView]


class DepartmentView(BaseModel):
    """A department that takes part."""

    department_id: UUID
    kind: str
    name: str
    since: date


class OfferRow(BaseModel):
    """An offer as the catalogue shows it; `as_of` is the day on which the places were last said."""

    offer_id: UUID
    organisation_id: UUID
    organisation: str
    title: str
    theme: str
    format: str
    age_from: int
    age_to: int
    areas: list[str]
    price: str
    places: int
    as_of: date
    declaration_until: date | None
    version: int


class AdoptedModel(BaseModel):
    """What the municipality follows, and since when."""

    version: int
    ref: str
    sha256: str
    since: date
    model: CollaborationModel


def department_views(municipality: Municipality) -> list[DepartmentView]:
    """Return the departments that take part."""
    return [
        DepartmentView(department_id=at, kind=department.kind, name=department.name, since=department.since)
        for at, department in municipality.departments.items()
    ]


def organisation_view(organisation_id: UUID, version: int, organisation: Organisation) -> OrganisationView:
    """Return an organisation and every time in which it took part."""
    membership = organisation.membership
    periods = [
        PeriodView(joined_on=period.joined_on, left_on=period.left_on, reason=period.reason)
        for period in organisation.before
    ]
    if isinstance(membership, Joined):
        periods.append(PeriodView(joined_on=membership.joined_on, left_on=None, reason=None))
    return OrganisationView(
        organisation_id=organisation_id,
        version=version,
        name=organisation.name,
        number=organisation.number,
        status="left" if isinstance(membership, Left) else "joined",
        terms=membership.terms if isinstance(membership, Joined) else None,
        declaration_until=membership.declaration_until if isinstance(membership, Joined) else None,
        periods=periods,
    )
