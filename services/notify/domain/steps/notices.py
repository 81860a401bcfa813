"""Steps of one notice: it is read, and its mail has an outcome."""

from uuid import UUID

from msgspec.structs import replace

from contracts.event import Event
from contracts.notify import ContactLooked, MailDelivered, MailFailed
from services.kernel.decider.decision import Decision, PrivateValue
from services.kernel.decider.derived_ids import derived_id
from services.notify.domain.commands import ReadNotice, RecordMailOutcome
from services.notify.domain.states import (
    CONTACT_CHANGED,
    LETTER_NEEDED,
    MINUTED,
    Delivered,
    Failed,
    InboxOnly,
    Mail,
    Notification,
    Queued,
    Read,
    Spared,
    Unread,
    former_address,
)
from services.notify.domain.steps.sending import with_notifications
from services.notify.domain.transition import Transition


def stay_as_it_is(transition: Transition, _before: object, _command: object) -> Decision:
    """Change nothing: it is already so."""
    return Decision(transition.document)


def read_notice(transition: Transition, _before: Unread, command: ReadNotice) -> Decision:
    """Mark a notice as read; the event puts the reading on record."""
    context = transition.context
    notice = transition.case.notices[command.notice_id]
    after = transition.with_notice(command.notice_id, replace(notice, reading=Read(context.now)))
    event = ContactLooked(case_id=context.stream_id, what=("notice",), purpose="inbox")
    return Decision(after, events=(event,))


def record_mail_outcome(transition: Transition, _before: Queued, command: RecordMailOutcome) -> Decision:
    """Put the outcome of a queued mail on record; the first outcome stands.

    Where nobody could be mailed about a yes that was minuted for them, colleagues learn that a letter is
    needed. A former address is kept for its mail only.
    """
    notice = transition.case.notices[command.notice_id]
    notification = transition.case.notification_of(notice)
    mail, events = _outcome(command, notice.recipient_id)
    after = transition.with_notice(command.notice_id, replace(notice, mail=mail))
    context = transition.context
    new: dict[UUID, Notification] = {}
    if notification.kind == MINUTED and command.outcome in {"inbox", "failed"}:
        letter = replace(notification, kind=LETTER_NEEDED, audience="colleagues", at=context.now, about=None)
        new[derived_id(command.notice_id, LETTER_NEEDED)] = letter
    decision = with_notifications(after, context.stream_id, new, by=context.actor.id)
    forgotten: tuple[PrivateValue, ...] = ()
    if notification.kind == CONTACT_CHANGED:
        forgotten = (PrivateValue(notice.recipient_id, former_address(command.notice_id), ""),)
    return replace(decision, events=(*events, *decision.events), private_values=forgotten)


def _outcome(command: RecordMailOutcome, recipient_id: UUID) -> tuple[Mail, tuple[Event, ...]]:
    """Return the state of a mail after its outcome, and the event about it."""
    notice_id = command.notice_id
    match command.outcome:
        case "delivered":
            return Delivered(), (MailDelivered(notice_id=notice_id, recipient_id=recipient_id),)
        case "failed":
            failed = MailFailed(notice_id=notice_id, recipient_id=recipient_id, reason=command.reason)
            return Failed(), (failed,)
        case "inbox":
            return InboxOnly(), ()
        case "spared":
            return Spared(), ()
