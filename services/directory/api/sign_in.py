"""Sign-in over HTTP, for the portal alone: whose account somebody has, and how they get one by a code."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import StringConstraints

from contracts.event import municipality_stream
from services.directory.api.bodies import Body, DirectoryRequest
from services.directory.api.identities import Issuer, NationalNumber, SubjectOfIssuer, identities_of
from services.directory.api.invitations import digest_of_code
from services.directory.domain.codes import read_code
from services.directory.domain.commands import AddIdentity, NoteWrongCode, UseInvitation
from services.directory.domain.refusals import CodeWrong
from services.directory.domain.states import Municipality
from services.directory.domain.steps.accounts import NAME
from services.directory.domain.steps.invitations import wrong_codes_of
from services.directory.domain.transition import calendar_in, holder_of, machine_of
from services.directory.projections import accounts as stored
from services.directory.views.accounts import (
    MachineView,
    SignInMembership,
    SignInView,
    machine_view,
    sign_in_memberships,
)
from services.kernel.errors import NotFound
from services.kernel.http.fields import GivenId
from services.kernel.http.requests import CommandResult, RequestContext
from services.kernel.ids import new_id

router = APIRouter(prefix="/directory", tags=["directory"])


class SignInBody(Body):
    """Who signed in, as the sign-in service says it; nothing of it is kept but keyed digests.

    `organisation_number` is there where it says for which organisation they did.
    """

    issuer: Issuer
    subject: SubjectOfIssuer
    national_number: NationalNumber | None = None
    organisation_number: Annotated[str, StringConstraints(pattern=r"^[0-9]{8,9}$")] | None = None


class CodeBody(SignInBody):
    """Who signed in, and the code of their invitation as they typed it."""

    code: Annotated[str, StringConstraints(min_length=1, max_length=40)]


class MachineProofBody(Body):
    """The account of a program that asks for a token."""

    account_id: GivenId


@router.post("/sign-in")
async def sign_in(body: SignInBody, request: DirectoryRequest) -> SignInView:
    """Say whose account an identity belongs to, and in which roles they may act today.

    Of the roles in organisations, only those in the organisation that is named, where one is.
    """
    request.require_role("portal")
    identities = await identities_of(request, body.issuer, body.subject, body.national_number)
    account_id = await request.query(stored.account_of, identity_ids=list(identities))
    if account_id is None:
        raise NotFound
    return await _account(request, account_id, body.organisation_number)


@router.post("/invitations/redeem")
async def use_invitation(body: CodeBody, request: DirectoryRequest) -> SignInView:
    """Give whoever signed in the role of the invitation whose code they typed.

    Wrong codes are counted: after some within an hour, none is taken for a while.
    """
    request.require_role("portal")
    code = read_code(body.code)
    identities = await identities_of(request, body.issuer, body.subject, body.national_number)
    municipality_id = municipality_stream(request.actor.tenant)
    invitation = await request.query(stored.invitation_with, code_digest=await digest_of_code(request, code))
    if invitation is None:
        await request.note(wrong_codes_of(municipality_id), NoteWrongCode(identities[0]))
        raise CodeWrong
    found = await request.query(stored.account_of, identity_ids=list(identities))
    account_id = found or invitation["account_id"]
    command = UseInvitation(municipality_id, identities, account_id, new_id())
    await request.execute(invitation["invitation_id"], command, any_version=True)
    return await _account(request, account_id, body.organisation_number)


@router.post("/accounts/{account_id}/identities")
async def add_identity(account_id: UUID, body: SignInBody, request: DirectoryRequest) -> CommandResult:
    """Let the holder of an account, who is signed in, sign in by a further identity, such as a passkey."""
    request.require_role("portal")
    identities = await identities_of(request, body.issuer, body.subject, body.national_number)
    return await request.execute(account_id, AddIdentity(identities), any_version=True)


@router.post("/machines/verify")
async def verify_machine(body: MachineProofBody, request: DirectoryRequest) -> MachineView:
    """Return the key of a program and the roles in which it may act today."""
    request.require_role("portal")
    seen = await request.read(body.account_id, what=("machine",))
    municipality = await _municipality(request)
    labels = _labels(municipality, await request.query(stored.places))
    return machine_view(body.account_id, machine_of(seen.state), _today(request, municipality), labels)


async def _account(request: RequestContext, account_id: UUID, organisation_number: str | None) -> SignInView:
    """Return an account for its holder who signs in; the look is put on record."""
    seen = await request.read_private(account_id, what=("account",), purpose="sign_in")
    municipality = await _municipality(request)
    places = await request.query(stored.places)
    today, labels = _today(request, municipality), _labels(municipality, places)
    memberships = sign_in_memberships(holder_of(seen.state), account_id, today, labels)
    numbers = {at: str(one["number"]) for at, one in places.items()}
    return SignInView(
        account_id=account_id,
        name=seen.private.get(NAME) or None,
        memberships=list(_in_organisation(memberships, numbers, organisation_number)),
    )


def _in_organisation(
    memberships: Iterable[SignInMembership], numbers: dict[UUID, str], wanted: str | None
) -> Iterable[SignInMembership]:
    """Leave out the roles in organisations that are known to have another number than the one named."""
    for one in memberships:
        number = numbers.get(one.organisation_id) if one.organisation_id else None
        if wanted is None or not number or number == wanted:
            yield one


def _labels(municipality: Municipality, places: Mapping[UUID, Mapping[str, Any]]) -> dict[UUID, str]:
    """Return the names of the departments and the organisations, by which people tell their roles apart."""
    labels = {at: str(one["name"]) for at, one in places.items()}
    return labels | {at: one.name for at, one in municipality.departments.items()}


async def _municipality(request: RequestContext) -> Municipality:
    """Return the municipality; an empty one before it follows a model."""
    try:
        seen = await request.read(municipality_stream(request.actor.tenant))
    except NotFound:
        return Municipality()
    municipality: Municipality = seen.state
    return municipality


def _today(request: RequestContext, municipality: Municipality) -> date:
    return calendar_in(municipality, request.models).today(request.now)
