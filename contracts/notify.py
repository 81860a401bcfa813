"""Events of notices; the stream is the case, or a random one of how a municipality reaches a recipient."""

from typing import ClassVar
from uuid import UUID

from contracts.event import AccessRefused, Code, Event, EventDropped, Looked


class ContactRecorded(Event):
    """It is on record how a municipality reaches a recipient; the stream is of the two, and only of this."""

    type: ClassVar[str] = "notify.contact_recorded.v1"

    channel: Code
    language: Code
    recipient_id: UUID | None = None


class NoticeSent(Event):
    """A notice lies in somebody's inbox, and a mail says so where an address is known."""

    type: ClassVar[str] = "notify.notice_sent.v1"

    notice_id: UUID
    recipient_id: UUID
    kind: Code


class MailDelivered(Event):
    """The mail server has accepted the mail about a notice."""

    type: ClassVar[str] = "notify.mail_delivered.v1"

    notice_id: UUID
    recipient_id: UUID


class MailFailed(Event):
    """The mail about a notice was refused for good; the notice still lies in the inbox."""

    type: ClassVar[str] = "notify.mail_failed.v1"

    notice_id: UUID
    recipient_id: UUID
    reason: Code


class ContactLooked(Looked):
    """Somebody has read how a person is reached."""

    type: ClassVar[str] = "notify.looked.v1"


class NotifyAccessRefused(AccessRefused):
    """Somebody was refused data or a step in the notify service."""

    type: ClassVar[str] = "notify.access_refused.v1"


class NotifyEventDropped(EventDropped):
    """An operator has discarded an event that the notify service could not apply."""

    type: ClassVar[str] = "notify.event_dropped.v1"
