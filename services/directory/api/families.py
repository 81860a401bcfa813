"""Families over HTTP: a caseworker lets a person whom a case names sign in, or no longer."""

from uuid import UUID

from fastapi import APIRouter

from contracts.event import municipality_stream
from services.directory.api.bodies import Body, DirectoryRequest
from services.directory.api.identities import NationalNumber, identity_of_number
from services.directory.domain.commands import BindPerson, EndMembership
from services.directory.projections import accounts as stored
from services.kernel.http.requests import CommandResult, RequestContext
from services.kernel.ids import new_id

router = APIRouter(prefix="/directory", tags=["directory"])

_NO_DEPARTMENT = UUID(int=0)


class NationalNumberBody(Body):
    """The number by which the sign-in service knows the person; only a keyed digest of it is kept."""

    national_number: NationalNumber


@router.post("/people/{person_id}/identity")
async def bind_person(person_id: UUID, body: NationalNumberBody, request: DirectoryRequest) -> CommandResult:
    """Let a guardian or a young person of a case sign in by their national number."""
    request.require_role("caseworker")
    identity_id = await identity_of_number(request, body.national_number)
    account_id = await request.query(stored.account_of, identity_ids=[identity_id])
    command = BindPerson(
        municipality_id=municipality_stream(request.actor.tenant),
        identity_id=identity_id,
        account_id=account_id or new_id(),
        membership_id=new_id(),
        named_in=await cases_naming(request, person_id),
    )
    return await request.execute(person_id, command, any_version=True)


@router.post("/people/{person_id}/identity/end")
async def release_person(person_id: UUID, request: DirectoryRequest) -> CommandResult:
    """Let a person of a case sign in no longer: within a minute they are let in no more."""
    request.require_role("caseworker")
    department_id = request.actor.department_id or _NO_DEPARTMENT
    bound = await request.query(stored.membership_of_person, person_id=person_id, department_id=department_id)
    command = EndMembership(
        municipality_id=municipality_stream(request.actor.tenant),
        membership_id=bound["membership_id"] if bound else new_id(),
        named_in=await cases_naming(request, person_id),
    )
    account_id = bound["account_id"] if bound else new_id()
    return await request.execute(account_id, command, any_version=True, named=person_id)


async def cases_naming(request: RequestContext, person_id: UUID) -> tuple[UUID, ...]:
    """Return the cases of the actor's department that name a person."""
    department_id = request.actor.department_id or _NO_DEPARTMENT
    return await request.query(stored.cases_naming, person_id=person_id, department_id=department_id)
