"""Invitations over HTTP: made with a code that is shown once, listed, revoked."""

from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import model_validator

from contracts.event import municipality_stream
from services.directory.api.bodies import (
    Body,
    Cursor,
    DirectoryRequest,
    FamilyRole,
    Limit,
    Name,
    StaffRole,
)
from services.directory.api.families import cases_naming
from services.directory.domain.access import OWN_INVITATION
from services.directory.domain.codes import DIGESTS, code_of, read_code
from services.directory.domain.commands import MakeInvitation, RevokeInvitation
from services.directory.domain.states import Position
from services.directory.domain.steps.guards import FAMILY
from services.directory.domain.transition import invitation_of
from services.directory.projections import accounts as stored
from services.directory.views.accounts import (
    InvitationMadeView,
    InvitationsView,
    invitations_view,
)
from services.kernel.http.fields import Day, GivenId
from services.kernel.http.requests import CommandResult, RequestContext
from services.kernel.ids import new_id

router = APIRouter(prefix="/directory", tags=["directory"])

CODES: Final = "invitation-codes"
_END: Final = UUID(int=2**128 - 1)


class InvitationBody(Body):
    """The role to which somebody is invited, and where; an employee or coordinator has a name besides.

    A person of a family is named by `person_id`, as custody and consents name them.
    """

    role: StaffRole | FamilyRole
    department_id: GivenId | None = None
    organisation_id: GivenId | None = None
    person_id: GivenId | None = None
    name: Name | None = None
    until: Day | None = None

    @model_validator(mode="after")
    def _of_one_kind(self) -> "InvitationBody":
        is_family = self.role in FAMILY
        if is_family != (self.person_id is not None) or is_family == (self.name is not None):
            raise ValueError("name the person_id of a guardian or young person, the name of anybody else")
        return self

    @property
    def position(self) -> Position:
        """The role and its place."""
        return Position(self.role, self.department_id, self.organisation_id, self.person_id)


@router.post("/invitations", status_code=201)
async def make_invitation(body: InvitationBody, request: DirectoryRequest) -> InvitationMadeView:
    """Invite somebody to a role; the code is shown in this answer alone, and used once within 30 days."""
    request.require_role("caseworker" if body.role in FAMILY else "administrator")
    code = code_of(await request.secret_for(CODES))
    command = MakeInvitation(
        municipality_id=municipality_stream(request.actor.tenant),
        position=body.position,
        account_id=new_id(),
        code_digest=await digest_of_code(request, read_code(code)),
        until=body.until,
        name=body.name or "",
        named_in=await cases_naming(request, body.person_id) if body.person_id else (),
    )
    result = await request.execute(new_id(), command, named=body.person_id)
    seen = await request.read(result.id, what=(OWN_INVITATION,))
    return InvitationMadeView(
        id=result.id,
        version=result.version,
        made=result.id,
        code=code,
        expires_on=invitation_of(seen.state).expires_on,
    )


@router.get("/invitations")
async def read_invitations(
    request: DirectoryRequest,
    status: Annotated[Literal["open", "used", "lapsed", "revoked"] | None, Query()] = None,
    cursor: Cursor = None,
    limit: Limit = 25,
) -> InvitationsView:
    """List invitations, newest first: of the department's families for a caseworker, else all others."""
    request.require_role("administrator", "caseworker")
    is_caseworker = request.actor.role == "caseworker"
    rows = await request.query(
        stored.invitations,
        department_id=(request.actor.department_id or UUID(int=0)) if is_caseworker else None,
        status=status,
        before=_END if cursor is None else UUID(cursor),
        limit=limit,
    )
    return invitations_view(rows, limit=limit)


@router.post("/invitations/{invitation_id}/revoke")
async def revoke_invitation(invitation_id: UUID, request: DirectoryRequest) -> CommandResult:
    """Take an invitation back whose code was not used."""
    request.require_role("administrator", "caseworker")
    person_id = await request.query(stored.person_of_invitation, invitation_id=invitation_id)
    cases = await cases_naming(request, person_id or invitation_id)
    return await request.execute(invitation_id, RevokeInvitation(cases), any_version=True)


async def digest_of_code(request: RequestContext, code: str) -> str:
    """Return the keyed digest by which an invitation knows its code."""
    return (await request.keyed_digest(DIGESTS, code)).hex()
