"""HTTP API of the notify service: inboxes, contacts and figures."""

from typing import Annotated, Final, Literal
from uuid import UUID

from email_validator import EmailNotValidError, validate_email
from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from services.kernel.errors import NotAllowed, NotFound
from services.kernel.http.requests import CommandResult, RequestContext, request_context
from services.notify import projections
from services.notify.domain.access import Inbox, inbox_of, rests_on_consent
from services.notify.domain.commands import ReadNotice, RecordContact
from services.notify.domain.states import contact_of
from services.notify.effects import TEXTS
from services.notify.views import (
    ContactView,
    FiguresView,
    InboxView,
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
    """List the actor's own notices, their organisation's or their department's."""
    inbox = _inbox(request)
    whose = {"recipient_id": inbox.recipient_id, "role": inbox.role}
    rows = await request.query(
        projections.inbox, **whose, unread=unread, before=position_of(cursor), limit=limit
    )
    await request.require_fresh_consents(
        {row["case_id"] for row in rows if rests_on_consent(inbox.role, row["kind"])}
    )
    count = await request.query(projections.unread, **whose)
    return inbox_view(rows, unread=count, limit=limit, texts=TEXTS[request.language])


@router.post("/inbox/{notice_id}/read")
async def read_notice(notice_id: UUID, request: NotifyRequest) -> CommandResult:
    """Put on record that a notice of the actor's inbox was read."""
    _inbox(request)
    case_id = await request.query(projections.case_of, notice_id=notice_id)
    if case_id is None:
        raise NotFound
    return await request.execute(case_id, ReadNotice(notice_id), any_version=True)


@router.post("/contacts/{recipient_id}", status_code=201)
async def record_contact(recipient_id: UUID, body: ContactBody, request: NotifyRequest) -> CommandResult:
    """Keep the language and the address of a person, an organisation or a department.

    Each municipality has its own of each; the audit trail has it under the answer's `id`.
    """
    command = RecordContact(recipient_id, body.language, body.email or "")
    return await request.execute(contact_of(request.actor.tenant, recipient_id), command, any_version=True)


@router.get("/contacts/{recipient_id}")
async def see_contact(recipient_id: UUID, request: NotifyRequest) -> ContactView:
    """Show how a recipient is reached; the reading is put on record."""
    contact_id = contact_of(request.actor.tenant, recipient_id)
    seen = await request.read_private(contact_id, what=("contact",), purpose="contact")
    return contact_view(contact_id, seen.version, seen.state, seen.private)


@router.get("/figures")
async def read_figures(request: NotifyRequest) -> FiguresView:
    """Count the municipality's notices by kind, and their mails by outcome; small groups are not shown."""
    request.require_role("operator", "auditor", "administrator")
    return figures_view(await request.query(projections.figures))


def _inbox(request: RequestContext) -> Inbox:
    inbox = inbox_of(request.actor)
    if inbox is None:
        raise NotAllowed
    return inbox
