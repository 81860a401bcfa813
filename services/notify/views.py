"""Answers of the notify service over HTTP: models for JSON, and functions that make them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, assert_never
from uuid import UUID

from pydantic import BaseModel

from services.kernel.decider.small_groups import shown_counts
from services.kernel.errors import NotFound
from services.notify.domain.states import ADDRESS, Case, Parties, Recipient, State
from services.notify.effects import Texts

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN: Final = ("notice_id", "case_id", "kind", "at", "codes", "read_at")
_MICROSECOND: Final = timedelta(microseconds=1)


class ContactView(BaseModel):
    """How a recipient is reached by the municipality; the audit trail has it under `id`."""

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
    """How many notices there are of each kind, and the outcomes of their mails, to the nearest five.

    What is not listed is fewer than five, or of fewer than five cases.
    """

    notices: dict[str, int]
    mails: dict[str, int]


class WaitingMailView(BaseModel):
    """One mail that is not sent yet: of which case, how often it was tried, and when it is tried next."""

    case_id: UUID
    attempts: int
    created_at: datetime
    due_at: datetime


class RefusedMailView(BaseModel):
    """One notice whose mail was refused for good; it still lies in the inbox."""

    case_id: UUID
    notice_id: UUID
    kind: str
    at: datetime


class MailsView(BaseModel):
    """The mails of the municipality that wait, and those that were refused; nobody's address."""

    waiting: list[WaitingMailView]
    refused: list[RefusedMailView]


def contact_view(
    contact_id: UUID, version: int, state: State | None, private: Mapping[str, Any]
) -> ContactView:
    """Return how a recipient is reached; raises `NotFound` for any other state."""
    match state:
        case Recipient():
            email = private.get(ADDRESS) or None
            return ContactView(id=contact_id, language=state.language, email=email, version=version)
        case None | Case() | Parties():
            raise NotFound
        case _:
            assert_never(state)


def inbox_view(rows: Sequence[Mapping[str, Any]], *, unread: int, limit: int, texts: Texts) -> InboxView:
    """Return a page of an inbox with each notice in words."""
    notices = [
        NoticeView(text=texts.kinds[row["kind"]].inbox, **{field: row[field] for field in _SHOWN})
        for row in rows
    ]
    return InboxView(
        notices=notices, unread=unread, next=_cursor(notices[-1]) if len(notices) == limit else None
    )


def figures_view(rows: Sequence[Mapping[str, Any]]) -> FiguresView:
    """Return what may be shown of how many notices there are by kind, and by the outcome of their mail."""
    return FiguresView(notices=_counts(rows, "kind"), mails=_counts(rows, "mail"))


def _counts(rows: Sequence[Mapping[str, Any]], by: str) -> dict[str, int]:
    return shown_counts((row[by], row["notices"], row["cases"]) for row in rows if row[by] is not None)


def position_of(cursor: str | None) -> tuple[datetime, UUID] | None:
    """Return the time and the id that a cursor stands for; the next notices are older."""
    if cursor is None:
        return None
    ticks, _, notice_id = cursor.partition("_")
    return _EPOCH + int(ticks) * _MICROSECOND, UUID(notice_id)


def _cursor(last: NoticeView) -> str:
    return f"{(last.at - _EPOCH) // _MICROSECOND}_{last.notice_id.hex}"
