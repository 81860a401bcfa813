"""Accounts over HTTP: who is who, since when and by whom; roles are given, renewed, handed over, ended."""

import json
from hashlib import sha256
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import EmailStr, Field, StringConstraints

from contracts.event import municipality_stream
from services.directory.api.bodies import (
    Body,
    Cursor,
    DirectoryRequest,
    FamilyRole,
    Limit,
    Line,
    Name,
    PlaceBody,
    StaffRole,
)
from services.directory.domain.access import CONTACT, NAMES
from services.directory.domain.commands import (
    EndMembership,
    GiveMembership,
    HandOver,
    RecordDetails,
    RegisterMachine,
    RenewMembership,
)
from services.directory.domain.transition import holder_of
from services.directory.projections import accounts as stored
from services.directory.views.accounts import (
    AccountsView,
    AccountView,
    ContactView,
    NameView,
    account_view,
    accounts_view,
    contact_view,
)
from services.kernel.decider.access import purpose_of
from services.kernel.http.fields import Day, GivenId
from services.kernel.http.requests import CommandResult, RequestContext
from services.kernel.ids import new_id

router = APIRouter(prefix="/directory", tags=["directory"])

_BEGINNING = UUID(int=0)
Coordinate = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")]


class MembershipBody(PlaceBody):
    """A role more, from today or a later day on; without `until` it goes on."""

    since: Day | None = None
    until: Day | None = None


class RenewalBody(Body):
    """The last day of the role from now on; without one it goes on."""

    until: Day | None = None


class HandOverBody(Body):
    """The account that takes the role over."""

    to_account_id: GivenId


class DetailsBody(Body):
    """What the holder of the account is called, how and when they are reached, and who stands in for them."""

    name: Name
    mail: Annotated[EmailStr, Field(max_length=254)] | None = None
    phone: Line = ""
    hours: Line = ""
    deputy_id: GivenId | None = None


class NamesBody(Body):
    """The accounts whose holders' names are wanted."""

    account_ids: Annotated[list[GivenId], Field(min_length=1, max_length=50)]


class EllipticKey(Body):
    """A public key for ES256, as a JWK."""

    kty: Literal["EC"]
    crv: Literal["P-256"]
    x: Coordinate
    y: Coordinate


class EdwardsKey(Body):
    """A public key for EdDSA, as a JWK."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: Coordinate


class MachineBody(PlaceBody):
    """A program, its role, and the public key by which it proves itself; the private one stays with it."""

    name: Name
    key: EllipticKey | EdwardsKey
    until: Day | None = None


@router.get("/accounts")
async def read_accounts(
    request: DirectoryRequest,
    role: StaffRole | FamilyRole | None = None,
    status: Annotated[Literal["running", "ended"] | None, Query(description="of the role")] = None,
    department_id: UUID | None = None,
    organisation_id: UUID | None = None,
    cursor: Cursor = None,
    limit: Limit = 25,
) -> AccountsView:
    """List who has an account and which roles, in the order in which they came; the look is put on record."""
    request.require_role("administrator")
    rows = await request.query(
        stored.accounts,
        role=role,
        status=status,
        department_id=department_id,
        organisation_id=organisation_id,
        after=_BEGINNING if cursor is None else UUID(cursor),
        limit=limit,
    )
    ids = [row["account_id"] for row in rows]
    memberships = await request.query(stored.memberships, account_ids=ids)
    return accounts_view(rows, memberships, await names_of(request, ids), limit=limit)


@router.post("/names")
async def read_names(body: NamesBody, request: DirectoryRequest) -> list[NameView]:
    """Say what the holders of some accounts are called; unknown ones are left out.

    The whole is one entry in the audit trail.
    """
    names = await names_of(request, body.account_ids)
    return [NameView(account_id=account_id, name=name) for account_id, name in names.items()]


@router.get("/accounts/{account_id}")
async def read_account(account_id: UUID, request: DirectoryRequest) -> AccountView:
    """Show an account with all its roles, each since when and by whom; the look is put on record."""
    seen = await request.read_private(account_id, what=("account",), purpose=purpose_of(request.actor))
    return account_view(account_id, seen, request.actor, await request.query(stored.administrators))


@router.get("/accounts/{account_id}/contact")
async def read_contact(account_id: UUID, request: DirectoryRequest) -> ContactView:
    """Show how an employee or a coordinator is reached, when, and who stands in; the look is on record."""
    seen = await request.read_private(account_id, what=(CONTACT,), purpose=purpose_of(request.actor))
    return contact_view(account_id, seen.version, holder_of(seen.state), seen.private)


@router.post("/accounts/{account_id}/details")
async def record_details(account_id: UUID, body: DetailsBody, request: DirectoryRequest) -> CommandResult:
    """Correct an account's details, one's own or as the administrator."""
    command = RecordDetails(body.name, body.mail or "", body.phone, body.hours, body.deputy_id)
    return await request.execute(account_id, command)


@router.post("/accounts/{account_id}/memberships", status_code=201)
async def give_membership(account_id: UUID, body: MembershipBody, request: DirectoryRequest) -> CommandResult:
    """Give an account a role more."""
    made = new_id()
    command = GiveMembership(_municipality(request), made, body.position, body.since, body.until)
    return await request.execute(account_id, command, created=made)


@router.post("/accounts/{account_id}/memberships/{membership_id}/renew")
async def renew_membership(
    account_id: UUID, membership_id: UUID, body: RenewalBody, request: DirectoryRequest
) -> CommandResult:
    """Let a role go on until another day, or without one."""
    command = RenewMembership(_municipality(request), membership_id, body.until)
    return await request.execute(account_id, command)


@router.post("/accounts/{account_id}/memberships/{membership_id}/end")
async def end_membership(account_id: UUID, membership_id: UUID, request: DirectoryRequest) -> CommandResult:
    """End a role today; its holder is let in no more within a minute."""
    command = EndMembership(_municipality(request), membership_id)
    return await request.execute(account_id, command, any_version=True)


@router.post("/accounts/{account_id}/memberships/{membership_id}/hand-over")
async def hand_over(
    account_id: UUID, membership_id: UUID, body: HandOverBody, request: DirectoryRequest
) -> CommandResult:
    """Let another account take a role over from today."""
    command = HandOver(_municipality(request), membership_id, body.to_account_id, new_id())
    return await request.execute(account_id, command)


@router.post("/machines", status_code=201)
async def register_machine(body: MachineBody, request: DirectoryRequest) -> CommandResult:
    """Give a program an account with one role."""
    request.require_role("administrator")
    key = json.dumps(body.key.model_dump(), sort_keys=True, separators=(",", ":"))
    made = new_id()
    command = RegisterMachine(
        municipality_id=_municipality(request),
        name=body.name,
        key=key,
        key_sha256=sha256(key.encode()).hexdigest(),
        membership_id=made,
        position=body.position,
        until=body.until,
    )
    return await request.execute(new_id(), command, created=made)


async def names_of(request: RequestContext, account_ids: list[UUID]) -> dict[UUID, str | None]:
    """Return what the holders of some accounts are called, after the look is put on record."""
    if not account_ids:
        return {}
    seen = await request.read_private_of(account_ids, what=(NAMES,), purpose=purpose_of(request.actor))
    return {
        account_id: contact_view(account_id, one.version, holder_of(one.state), one.private).name
        for account_id, one in seen.items()
    }


def _municipality(request: RequestContext) -> UUID:
    return municipality_stream(request.actor.tenant)
