"""Access: recipients read their own inbox, and a contact is kept by its owner or by the municipality."""

from uuid import UUID

from msgspec import Struct

from services.kernel.decider.decision import Actor, Context, ReadRequest
from services.notify.domain.commands import ReadNotice, RecordContact, RecordMailOutcome
from services.notify.domain.states import STOPS, Case, Recipient, State, contact_of


class Inbox(Struct, frozen=True):
    """The inbox of one recipient in one role."""

    recipient_id: UUID
    role: str


def authorize(state: State | None, trigger: object, context: Context) -> bool:
    """Return whether the actor may take this step, or read; refused is the default."""
    match state, trigger:
        case ((None | Recipient()), RecordContact()):
            return _may_keep(context)
        case Recipient(), ReadRequest(what=("contact",)):
            return _may_keep(context)
        case Case(), ReadNotice(notice_id=notice_id):
            return _is_theirs(state, notice_id, inbox_of(context.actor))
        case Case(), RecordMailOutcome():
            return context.actor.role == "system"
    return False


def inbox_of(actor: Actor) -> Inbox | None:
    """Return the inbox that an actor reads: their own, their organisation's or their department's."""
    match actor:
        case Actor(role="coordinator", organisation_id=UUID() as organisation_id):
            return Inbox(organisation_id, "coordinator")
        case Actor(role="leader", department_id=UUID() as department_id):
            return Inbox(department_id, "leader")
        case Actor(role="caseworker"):
            return Inbox(actor.id, "caseworker")
        case Actor(role="guardian" | "young_person"):
            return Inbox(actor.id, "family")
    return None


def rests_on_consent(role: str, kind: str) -> bool:
    """Return whether a reader in a role may read a kind of notice only while a consent covers it."""
    return role == "coordinator" and kind not in STOPS


def _may_keep(context: Context) -> bool:
    if context.actor.role in {"caseworker", "administrator"}:
        return True
    inbox = inbox_of(context.actor)
    return inbox is not None and contact_of(context.tenant, inbox.recipient_id) == context.stream_id


def _is_theirs(case: Case, notice_id: UUID, inbox: Inbox | None) -> bool:
    notice = case.notices.get(notice_id)
    if notice is None or inbox is None or not case.is_visible(notice):
        return False
    return inbox == Inbox(notice.recipient_id, case.notification_of(notice).role)
