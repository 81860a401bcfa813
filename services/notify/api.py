"""HTTP API of the notify service: inboxes, contacts and figures."""

from typing import Annotated, Final, Literal
from uuid import UUID

from email_validator import EmailNotValidError, validate_email
from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from contracts.event import municipality_stream
from services.kernel.errors import NotAllowed
from services.kernel.http.requests import CommandResult, RequestContext, request_context
from services.kernel.ids import new_id
from services.notify import projections
from services.notify.domain.access import contact_part, inbox_of, inboxes_of, rests_on_consent
from services.notify.domain.commands import ReadNotice, RecordContact
from services.notify.effects import TEXTS
from services.notify.views import (
    ContactView,
    FiguresView,
    InboxView,
    MailsView,
    contact_view,
    figures_view,
    inbox_view,
    position_of,
)

router: Final = APIRouter(prefix="/notify", tags=["notify"])

NotifyRequest = Annotated[RequestContext, Depends(request_context("notify"))]


def _mailable(text: str) -> str:
    """Return an address as mail servers without extensions take it; raise ValueError where there is none."""
    try:
        found = validate_email(text, allow_smtputf8=False, check_deliverability=False)
    except EmailNotValidError:
        raise ValueError("no mail can be sent to this address") from None
    return found.ascii_email or found.normalized


Address = Annotated[
    str, Field(max_length=254, json_schema_extra={"format": "email"}), AfterValidator(_mailable)
]
Cursor = Annotated[
    str | None, Query(pattern=r"^[0-9]{1,17}_[0-9a-f]{32}$", description="the page before's `next`")
]
Limit = Annotated[int, Query(ge=1, le=200)]


class ContactBody(BaseModel):
    """How a recipient is reached; without an address the inbox alone is used."""

    model_config = ConfigDict(extra="forbid")

    language: Literal["da", "nb", "en"]
    email: Address | None = None


@router.get("/inbox")
async def read_inbox(
    request: NotifyRequest,
    cursor: Cursor = None,
    limit: Limit = 50,
    unread: Annotated[bool, Query(description="only what has not been read")] = False,  # noqa: FBT002
) -> InboxView:
    """List the actor's own notices, their organisation's or their department's, and the colleagues' ones."""
    inboxes = inboxes_of(request.actor)
    if not inboxes:
        raise NotAllowed
    whose = {"recipient_ids": [one.recipient_id for one in inboxes], "roles": [one.role for one in inboxes]}
    rows = await request.query(
        projections.inbox, **whose, unread=unread, before=position_of(cursor), limit=limit
    )
    await request.require_fresh_consents(
        {row["case_id"] for row in rows if rests_on_consent(row["role"], row["kind"])}
    )
    count = await request.query(projections.unread, **whose)
    return inbox_view(rows, unread=count, limit=limit, texts=TEXTS[request.language])


@router.post("/inbox/{notice_id}/read")
async def read_notice(notice_id: UUID, request: NotifyRequest) -> CommandResult:
    """Put on record that a notice of the actor's inbox was read."""
    if not inboxes_of(request.actor):
        raise NotAllowed
    case_id = await request.query(projections.case_of, notice_id=notice_id)
    # a notice that is not there is asked for like one of somebody else, and answered by the same
    return await request.execute(
        case_id or notice_id, ReadNotice(notice_id), any_version=True, named=notice_id
    )


@router.post("/contacts/mine", status_code=201)
async def record_my_contact(body: ContactBody, request: NotifyRequest) -> CommandResult:
    """Keep how I am reached, or how my organisation or my department is.

    Each municipality has its own of each; the audit trail has it under the answer's `id`.
    """
    return await _record(request, _own(request), body)


@router.get("/contacts/mine")
async def see_my_contact(request: NotifyRequest) -> ContactView:
    """Show how I am reached, and put the reading on record; nothing is on record before I have said it."""
    recipient_id = _own(request)
    if await request.query(projections.contact_of, recipient_id=recipient_id) is None:
        return ContactView(id=recipient_id, language=request.language, email=None, version=0)
    return await _see(request, recipient_id)


@router.post("/cases/{case_id}/contacts/{person_id}", status_code=201)
async def record_contact_in_case(
    case_id: UUID, person_id: UUID, body: ContactBody, request: NotifyRequest
) -> CommandResult:
    """Keep how somebody of a case's family is reached; they are told, also at their former address."""
    return await _record(request, person_id, body, case_id)


@router.get("/cases/{case_id}/contacts/{person_id}")
async def see_contact_in_case(case_id: UUID, person_id: UUID, request: NotifyRequest) -> ContactView:
    """Show how somebody of a case's family is reached; the reading is put on record."""
    return await _see(request, person_id, case_id)


@router.post("/contacts/{recipient_id}", status_code=201)
async def record_contact(recipient_id: UUID, body: ContactBody, request: NotifyRequest) -> CommandResult:
    """Keep how an organisation or a department of the municipality is reached; it is an administrator's."""
    return await _record(request, recipient_id, body, *_directory(request, recipient_id))


@router.get("/contacts/{recipient_id}")
async def see_contact(recipient_id: UUID, request: NotifyRequest) -> ContactView:
    """Show how an organisation or a department is reached; the reading is put on record."""
    return await _see(request, recipient_id, *_directory(request, recipient_id))


@router.get("/figures")
async def read_figures(request: NotifyRequest) -> FiguresView:
    """Count the municipality's notices by kind, and their mails by outcome; small groups are not shown."""
    request.require_role("operator", "auditor", "administrator")
    return figures_view(await request.query(projections.figures))


@router.get("/operations/mails")
async def read_mails(request: NotifyRequest, limit: Limit = 100) -> MailsView:
    """List the mails that wait and those that were refused, by case; never to whom."""
    return MailsView.model_validate(
        {
            "waiting": await request.query(projections.mails_waiting, limit=limit),
            "refused": await request.query(projections.mails_refused, limit=limit),
        }
    )


async def _record(
    request: RequestContext, recipient_id: UUID, body: ContactBody, *named_in: UUID
) -> CommandResult:
    command = RecordContact(recipient_id, body.language, body.email or "", named_in)
    contact_id = await request.query(projections.contact_of, recipient_id=recipient_id)
    return await request.execute(contact_id or new_id(), command, any_version=True, named=recipient_id)


async def _see(request: RequestContext, recipient_id: UUID, *named_in: UUID) -> ContactView:
    found = await request.query(projections.contact_of, recipient_id=recipient_id)
    contact_id = found or new_id()
    seen = await request.read_private(
        contact_id, what=contact_part(named_in), purpose="contact", named=recipient_id
    )
    return contact_view(contact_id, seen.version, seen.state, seen.private)


def _own(request: RequestContext) -> UUID:
    inbox = inbox_of(request.actor)
    if inbox is None:
        raise NotAllowed
    return inbox.recipient_id


def _directory(request: RequestContext, recipient_id: UUID) -> tuple[UUID, UUID]:
    """Return the streams in which the directory names an organisation and the departments."""
    return recipient_id, municipality_stream(request.actor.tenant)
