"""Answers about the catalogue: models for JSON, and functions from a state to an answer."""

from datetime import date, datetime
from typing import Annotated, assert_never
from uuid import UUID

from pydantic import BaseModel

from contracts.model import CollaborationModel
from services.directory.domain.states import (
    Account,
    Administrators,
    FamilyCase,
    Identity,
    Invitation,
    Joined,
    Left,
    Machine,
    Municipality,
    Offer,
    Organisation,
    Person,
    Restored,
    Revoked,
    State,
    WrongCodes,
)
from services.kernel.errors import NotFound
from services.kernel.http.fields import one_of

Standing = Annotated[str, one_of("joined", "left")]


class OrganisationRow(BaseModel):
    """An organisation as the list shows it."""

    organisation_id: UUID
    name: str
    number: str
    status: Standing
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
    status: Standing
    terms: str | None
    declaration_until: date | None
    periods: list[PeriodView]


class DepartmentView(BaseModel):
    """A department that takes part."""

    department_id: UUID
    kind: str
    name: str
    since: date


class AccessView(BaseModel):
    """A person, by id, or a token, by the SHA-256 of its id, that is let in no more."""

    subject: str
    since: datetime


class OfferRow(BaseModel):
    """An offer as the catalogue shows it; `as_of` is the day on which the places were last confirmed."""

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


def access_views(municipality: Municipality) -> list[AccessView]:
    """Return who is revoked now, the latest first."""
    views: list[AccessView] = []
    for subject, access in municipality.accesses.items():
        match access:
            case Revoked(since=since):
                views.append(AccessView(subject=subject, since=since))
            case Restored():
                pass
            case _:
                assert_never(access)
    return sorted(views, key=lambda view: view.since, reverse=True)


def department_views(municipality: Municipality) -> list[DepartmentView]:
    """Return the departments that take part."""
    return [
        DepartmentView(department_id=at, kind=department.kind, name=department.name, since=department.since)
        for at, department in municipality.departments.items()
    ]


def organisation_view(organisation_id: UUID, version: int, state: State | None) -> OrganisationView:
    """Return an organisation and every time in which it took part; raises `NotFound` for any other state."""
    match state:
        case Organisation():
            return _organisation_view(organisation_id, version, state)
        case (
            None
            | Municipality()
            | Offer()
            | Account()
            | Machine()
            | Invitation()
            | Identity()
            | Person()
            | FamilyCase()
            | Administrators()
            | WrongCodes()
        ):
            raise NotFound
        case _:
            assert_never(state)


def _organisation_view(organisation_id: UUID, version: int, organisation: Organisation) -> OrganisationView:
    view = OrganisationView(
        organisation_id=organisation_id,
        version=version,
        name=organisation.name,
        number=organisation.number,
        status="left",
        terms=None,
        declaration_until=None,
        periods=[
            PeriodView(joined_on=period.joined_on, left_on=period.left_on, reason=period.reason)
            for period in organisation.before
        ],
    )
    match organisation.membership:
        case Joined(terms=terms, joined_on=joined_on, declaration_until=declaration_until):
            view.status, view.terms, view.declaration_until = "joined", terms, declaration_until
            view.periods.append(PeriodView(joined_on=joined_on, left_on=None, reason=None))
        case Left():
            pass
        case never:
            assert_never(never)
    return view
