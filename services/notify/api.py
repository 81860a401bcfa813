"""Inboxes, how recipients are reached, and figures, over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal
from uuid import UUID

from email_validator import EmailNotValidError, validate_email
from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from services.kernel.errors import NotAllowed, NotFound
from services.kernel.http.requests import CommandResult, RequestContext, request_context
from services.notify import store
from services.notify.domain import ADDRESS, Inbox, ReadNotice, RecordContact, contact_of, inbox_of
from services.notify.domain_case import rests_on_consent
from services.notify.steps import TEXTS

router: Final = APIRouter(prefix="/notify", tags=["notify"])

NotifyDesk = Annotated[RequestContext, Depends(request_context("notify"))]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TICK: Final = timedelta(microseconds=1)


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


class ContactView(BaseModel):
    """How a recipient is reached by the municipality; the trail tells of it under `id`."""

    id: UUID
    language: str
    email: str | None
    version: int


class NoticeView(BaseModel):
    """One notice, in words and with the codes that go with it."""

    notice_id: UUID
    case_id: UUID
    kind: str
    at: datetime
    text: str
    codes: dict[str, str]
    read_at: datetime | None


class InboxView(BaseModel):
    """A page of an inbox, newest first; `next` leads to the older ones."""

    notices: list[NoticeView]
    unread: int
    next: str | None


class FiguresView(BaseModel):
    """How many notices there are of each kind, and how their mails went."""

    notices: dict[str, int]
    mails: dict[str, int]


@router.get("/inbox")
async def read_inbox(
    request: NotifyDesk,
    cursor: Cursor = None,
    limit: Limit = 50,
    unread: Annotated[bool, Query(description="only what has not been read")] = False,  # noqa: FBT002
) -> InboxView:
    """List the actor's own notices, their organisation's or their department's."""
    inbox = _inbox(request)
    whose = {"recipient_id": inbox.recipient_id, "role": inbox.role}
    rows = await request.query(store.inbox, **whose, unread=unread, before=_place(cursor), limit=limit)
    await request.require_fresh_consents(
        {row["case_id"] for row in rows if rests_on_consent(inbox.role, row["kind"])}
    )
    texts = TEXTS[request.language].kinds
    notices = [NoticeView(text=texts[row["kind"]].inbox, **row) for row in rows]
    return InboxView(
        notices=notices,
        unread=await request.query(store.unread, **whose),
        next=_cursor(notices[-1]) if len(notices) == limit else None,
    )


@router.post("/inbox/{notice_id}/read")
async def read_notice(notice_id: UUID, request: NotifyDesk) -> CommandResult:
    """Put on record that a notice of the actor's inbox was read."""
    _inbox(request)
    case_id = await request.query(store.case_of, notice_id=notice_id)
    if case_id is None:
        raise NotFound
    return await request.execute(case_id, ReadNotice(notice_id), any_version=True)


@router.post("/contacts/{recipient_id}", status_code=201)
async def record_contact(recipient_id: UUID, body: ContactBody, request: NotifyDesk) -> CommandResult:
    """Keep the language and the address of a person, an organisation or a department.

    Each municipality has its own of each; the trail tells of it under the answer's `id`.
    """
    command = RecordContact(recipient_id, body.language, body.email or "")
    return await request.execute(contact_of(request.actor.tenant, recipient_id), command, any_version=True)


@router.get("/contacts/{recipient_id}")
async def see_contact(recipient_id: UUID, request: NotifyDesk) -> ContactView:
    """Show how a recipient is reached; the look is put on record."""
    contact_id = contact_of(request.actor.tenant, recipient_id)
    seen = await request.read_private(contact_id, what=("contact",), purpose="contact")
    return ContactView(
        id=contact_id,
        language=seen.state.language,
        email=seen.private.get(ADDRESS) or None,
        version=seen.version,
    )


@router.get("/figures")
async def read_figures(request: NotifyDesk) -> FiguresView:
    """Count the municipality's notices by kind, and their mails by how they went."""
    request.require_role("operator", "auditor", "administrator")
    figures = FiguresView(notices={}, mails={})
    for row in await request.query(store.figures):
        figures.notices[row["kind"]] = figures.notices.get(row["kind"], 0) + row["notices"]
        figures.mails[row["mail"]] = figures.mails.get(row["mail"], 0) + row["notices"]
    return figures


def _inbox(request: RequestContext) -> Inbox:
    inbox = inbox_of(request.actor)
    if inbox is None:
        raise NotAllowed
    return inbox


def _cursor(last: NoticeView) -> str:
    return f"{(last.at - _EPOCH) // _TICK}_{last.notice_id.hex}"


def _place(cursor: str | None) -> tuple[datetime, UUID] | None:
    if cursor is None:
        return None
    ticks, _, notice_id = cursor.partition("_")
    return _EPOCH + int(ticks) * _TICK, UUID(notice_id)
