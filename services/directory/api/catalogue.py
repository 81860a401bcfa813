"""The catalogue over HTTP: adopt a model, let organisations in, publish offers, revoke access."""

from hashlib import sha256
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field, StringConstraints, model_validator

from contracts.directory import WhyLeft
from contracts.event import Code, Tenant, municipality_stream
from services.directory.api.bodies import Body, DirectoryRequest, Name
from services.directory.domain.commands import (
    AdoptModel,
    ChangeCapacity,
    JoinOrganisation,
    LeaveOrganisation,
    PublishOffer,
    RegisterDepartment,
    RestoreAccess,
    RevokeAccess,
)
from services.directory.domain.refusals import ModelMissing
from services.directory.projections.catalogue import offers, organisations
from services.directory.views.catalogue import (
    AccessView,
    AdoptedModel,
    DepartmentView,
    OfferRow,
    OrganisationRow,
    OrganisationView,
    access_views,
    department_views,
    organisation_view,
)
from services.kernel.errors import NotFound
from services.kernel.http.fields import Day, GivenId
from services.kernel.http.requests import CommandResult
from services.kernel.ids import new_id

router = APIRouter(prefix="/directory", tags=["directory"])

Number = Annotated[str, StringConstraints(pattern=r"^([0-9]{8,9})?$")]
Subject = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
"""The `sub` of a token: an id of the sign-in service, which need not be one that was given here."""

Age = Annotated[int, Field(strict=True, ge=0, le=120)]
Places = Annotated[int, Field(strict=True, ge=0, le=10_000)]


class AdoptBody(Body):
    """The model and the version of it that the municipality follows from now on."""

    model: Code
    version: Annotated[int, Field(strict=True, ge=1, le=1_000_000)]


class DepartmentBody(Body):
    """A department; without an id one is made, with the id of one its kind and name are corrected."""

    department_id: GivenId | None = None
    kind: Code
    name: Name


class JoinBody(Body):
    """An association, what it accepts and declares.

    Without an id one is made; with the id of one that was let in before, it joins again or renews.
    """

    organisation_id: GivenId | None = None
    name: Name
    number: Number = ""
    terms: Code
    declaration_until: Day


class LeaveBody(Body):
    """Why the organisation leaves."""

    reason: WhyLeft


class OfferBody(Body):
    """What can be done, for whom, and for how many at a time; `age_to` is the last full year."""

    title: Name
    theme: Code
    format: Code
    age_from: Age
    age_to: Age
    areas: Annotated[list[Tenant], Field(min_length=1, max_length=400)]
    price: Code
    places: Places

    @model_validator(mode="after")
    def _ages_count_up(self) -> "OfferBody":
        if self.age_from > self.age_to:
            raise ValueError("age_from comes after age_to")
        return self


class AccessBody(Body):
    """A person by the `sub` of their tokens, or one token by its `jti`; one of the two."""

    person_id: Subject | None = None
    token_id: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = None

    @model_validator(mode="after")
    def _one_of_the_two(self) -> "AccessBody":
        if (self.person_id is None) == (self.token_id is None):
            raise ValueError("name a person or a token")
        return self

    @property
    def subject(self) -> UUID | None:
        """The person, by the id that the sign-in service gave them."""
        return None if self.person_id is None else UUID(self.person_id)

    @property
    def token_sha256(self) -> str | None:
        """By which a token is named, so that its id is stored nowhere."""
        return None if self.token_id is None else sha256(self.token_id.encode()).hexdigest()


class CapacityBody(Body):
    """How many places the offer has now."""

    places: Places


@router.post("/models/adopt")
async def adopt_model(body: AdoptBody, request: DirectoryRequest) -> CommandResult:
    """Follow one version of a collaboration model from now on."""
    request.require_role("administrator")
    return await request.execute(
        municipality_stream(request.actor.tenant), AdoptModel(body.model, body.version)
    )


@router.get("/model")
async def read_model(request: DirectoryRequest) -> AdoptedModel:
    """Return the model that the municipality follows, with its words in every language."""
    seen = await request.read(municipality_stream(request.actor.tenant), what=("model",))
    adoption = seen.state.adoption
    if adoption is None:
        raise NotFound
    ref = f"{adoption.model}/{adoption.version}"
    model = request.models.get(ref)
    if model is None:
        raise ModelMissing(ref)
    return AdoptedModel(
        version=seen.version, ref=ref, sha256=adoption.sha256, since=adoption.since, model=model
    )


@router.post("/access/revoke")
async def revoke_access(body: AccessBody, request: DirectoryRequest) -> CommandResult:
    """Let a person or the bearer of a token in no more, in every service within a minute."""
    return await request.execute(
        municipality_stream(request.actor.tenant),
        RevokeAccess(body.subject, body.token_sha256),
        any_version=True,
    )


@router.post("/access/restore")
async def restore_access(body: AccessBody, request: DirectoryRequest) -> CommandResult:
    """Let a person or the bearer of a token in again."""
    return await request.execute(
        municipality_stream(request.actor.tenant),
        RestoreAccess(body.subject, body.token_sha256),
        any_version=True,
    )


@router.get("/access")
async def read_accesses(request: DirectoryRequest) -> list[AccessView]:
    """Return whom and which tokens the municipality lets in no more, the latest first."""
    request.require_role("administrator", "operator")
    seen = await request.read(municipality_stream(request.actor.tenant), what=("access",))
    return access_views(seen.state)


@router.post("/departments", status_code=201)
async def register_department(body: DepartmentBody, request: DirectoryRequest) -> CommandResult:
    """Name a department that takes part."""
    request.require_role("administrator")
    department_id = body.department_id or new_id()
    command = RegisterDepartment(department_id, body.kind, body.name, again=body.department_id is not None)
    return await request.execute(
        municipality_stream(request.actor.tenant), command, created=department_id, any_version=True
    )


@router.get("/departments")
async def read_departments(request: DirectoryRequest) -> list[DepartmentView]:
    """Return the departments that take part, and since when."""
    seen = await request.read(municipality_stream(request.actor.tenant), what=("departments",))
    return department_views(seen.state)


@router.post("/organisations", status_code=201)
async def join(body: JoinBody, request: DirectoryRequest) -> CommandResult:
    """Let an organisation take part, for the first time or again."""
    request.require_role("administrator")
    command = JoinOrganisation(
        municipality_id=municipality_stream(request.actor.tenant),
        name=body.name,
        number=body.number,
        terms=body.terms,
        declaration_until=body.declaration_until,
        again=body.organisation_id is not None,
    )
    return await request.execute(body.organisation_id or new_id(), command)


@router.get("/organisations")
async def read_organisations(request: DirectoryRequest) -> list[OrganisationRow]:
    """Return who takes part, and who did."""
    return [OrganisationRow.model_validate(row) for row in await request.query(organisations)]


@router.get("/organisations/{organisation_id}")
async def read_organisation(organisation_id: UUID, request: DirectoryRequest) -> OrganisationView:
    """Return one organisation, and since when it takes part."""
    seen = await request.read(organisation_id, what=("membership",))
    return organisation_view(organisation_id, seen.version, seen.state)


@router.post("/organisations/{organisation_id}/leave")
async def leave(organisation_id: UUID, body: LeaveBody, request: DirectoryRequest) -> CommandResult:
    """Take part no longer."""
    command = LeaveOrganisation(municipality_stream(request.actor.tenant), body.reason)
    return await request.execute(organisation_id, command, any_version=True)


@router.post("/organisations/{organisation_id}/offers", status_code=201)
async def publish_offer(organisation_id: UUID, body: OfferBody, request: DirectoryRequest) -> CommandResult:
    """Put an offer into the catalogue."""
    command = PublishOffer(
        municipality_id=municipality_stream(request.actor.tenant),
        organisation_id=organisation_id,
        title=body.title,
        theme=body.theme,
        format=body.format,
        age_from=body.age_from,
        age_to=body.age_to,
        areas=tuple(dict.fromkeys(body.areas)),
        price=body.price,
        places=body.places,
    )
    return await request.execute(new_id(), command)


@router.post("/offers/{offer_id}/capacity")
async def change_capacity(offer_id: UUID, body: CapacityBody, request: DirectoryRequest) -> CommandResult:
    """Correct how many places an offer has."""
    command = ChangeCapacity(municipality_stream(request.actor.tenant), body.places)
    return await request.execute(offer_id, command)


@router.get("/offers/{offer_id}")
async def read_offer(offer_id: UUID, request: DirectoryRequest) -> OfferRow:
    """Return one offer of the catalogue."""
    for row in await request.query(offers, offer_id=offer_id):
        return OfferRow.model_validate(row)
    raise NotFound


@router.get("/offers")
async def read_offers(
    request: DirectoryRequest,
    theme: Annotated[Code | None, Query()] = None,
    age: Annotated[int | None, Query(ge=0, le=120)] = None,
    area: Annotated[Tenant | None, Query()] = None,
    organisation_id: UUID | None = None,
) -> list[OfferRow]:
    """Return the offers of those who take part: by theme, a child's age, municipality, organisation."""
    found = await request.query(offers, theme=theme, age=age, area=area, organisation_id=organisation_id)
    return [OfferRow.model_validate(row) for row in found]
