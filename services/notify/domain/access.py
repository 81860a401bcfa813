"""Access: recipients read their own inbox, and keep how they are reached; pure.

For somebody of a case's family a caseworker of its department may do so too, and an administrator for the
departments and organisations of the municipality.
"""

from typing import Final
from uuid import UUID

from msgspec import Struct

from services.kernel.decider.decision import Actor, Context, ReadRequest
from services.notify.domain.commands import ReadNotice, RecordContact, RecordMailOutcome
from services.notify.domain.states import STOPS, Case, Parties, Recipient, State

CONTACT: Final = "contact"
_NAMED_IN: Final = "named_in_"
_COLLEAGUES: Final = frozenset({"caseworker", "bridge_builder", "leader"})


class Inbox(Struct, frozen=True):
    """The inbox of one recipient in one role."""

    recipient_id: UUID
    role: str


def authorize(state: State | None, trigger: object, context: Context) -> bool:
    """Return whether the actor may take this step, or read; refused is the default."""
    match state, trigger:
        case ((None | Recipient()), RecordContact()):
            return _may_keep(state, trigger.recipient_id, trigger.named_in, context)
        case Recipient(), ReadRequest(what=(part, *more)) if part == CONTACT:
            named_in = tuple(map(_stream_named_by, more))
            return _may_keep(state, state.recipient_id, named_in, context)
        case Case(), ReadNotice(notice_id=notice_id):
            return _is_theirs(state, notice_id, inboxes_of(context.actor))
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


def inboxes_of(actor: Actor) -> tuple[Inbox, ...]:
    """Return all inboxes that an actor reads: their own, and what the department's employees share."""
    own = inbox_of(actor)
    shared: tuple[Inbox, ...] = ()
    if actor.role in _COLLEAGUES and actor.department_id is not None:
        shared = (Inbox(actor.department_id, "colleague"),)
    return shared if own is None else (own, *shared)


def contact_part(named_in: tuple[UUID, ...] = ()) -> tuple[str, ...]:
    """Return how a read request names a contact, and the streams of which one is to name the recipient."""
    return CONTACT, *(f"{_NAMED_IN}{stream_id.hex}" for stream_id in named_in)


def related_streams(_state: State | None, trigger: object) -> tuple[UUID, ...]:
    """Return the streams that say whether the actor has to do with a recipient."""
    match trigger:
        case RecordContact():
            return trigger.named_in
        case ReadRequest(what=(part, *more)) if part == CONTACT:
            return tuple(map(_stream_named_by, more))
    return ()


def _stream_named_by(part: str) -> UUID:
    return UUID(part.removeprefix(_NAMED_IN))


def rests_on_consent(role: str, kind: str) -> bool:
    """Return whether a reader in a role may read a kind of notice only while a consent covers it."""
    return role == "coordinator" and kind not in STOPS


def _may_keep(
    state: Recipient | None, recipient_id: UUID, named_in: tuple[UUID, ...], context: Context
) -> bool:
    if state is not None and state.recipient_id != recipient_id:
        return False
    actor = context.actor
    if not named_in:
        inbox = inbox_of(actor)
        return inbox is not None and inbox.recipient_id == recipient_id
    return any(_names(context.others.get(stream_id), recipient_id, actor) for stream_id in named_in)


def _names(state: State | None, recipient_id: UUID, actor: Actor) -> bool:
    """Return whether a stream names a recipient, and the actor has to do with it."""
    match state:
        case Case():
            of_department = actor.department_id is not None and actor.department_id == state.department_id
            return actor.role == "caseworker" and of_department and recipient_id in state.family
        case Parties():
            return actor.role == "administrator" and recipient_id in state.ids
    return False


def _is_theirs(case: Case, notice_id: UUID, inboxes: tuple[Inbox, ...]) -> bool:
    notice = case.notices.get(notice_id)
    if notice is None or not case.is_visible(notice):
        return False
    return Inbox(notice.recipient_id, case.notification_of(notice).role) in inboxes
