"""Steps of one notice: it is read, and its mail has an outcome."""

from msgspec.structs import replace

from contracts.event import Event
from contracts.notify import ContactLooked, MailDelivered, MailFailed
from services.kernel.decider.decision import Decision
from services.notify.domain.commands import ReadNotice, RecordMailOutcome
from services.notify.domain.states import Delivered, Failed, InboxOnly, Mail, Queued, Read, Spared, Unread
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
    """Put the outcome of a queued mail on record; the first outcome stands."""
    notice = transition.case.notices[command.notice_id]
    mail: Mail
    events: tuple[Event, ...] = ()
    match command.outcome:
        case "delivered":
            mail = Delivered()
            events = (MailDelivered(notice_id=command.notice_id, recipient_id=notice.recipient_id),)
        case "failed":
            mail = Failed()
            events = (
                MailFailed(
                    notice_id=command.notice_id, recipient_id=notice.recipient_id, reason=command.reason
                ),
            )
        case "inbox":
            mail = InboxOnly()
        case "spared":
            mail = Spared()
    return Decision(transition.with_notice(command.notice_id, replace(notice, mail=mail)), events=events)
