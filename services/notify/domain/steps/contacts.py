"""Steps of a contact: the language and the address of a recipient, and which parties the directory names."""

from uuid import UUID

from msgspec.structs import replace

from contracts.directory import DepartmentRegistered, OrganisationJoined
from contracts.notify import ContactRecorded
from services.kernel.decider.decision import Decision, PrivateValue
from services.kernel.decider.derived_ids import derived_id
from services.notify.domain.commands import RecordContact
from services.notify.domain.states import (
    ADDRESS,
    CONTACT_CHANGED,
    Case,
    Notification,
    Parties,
    Recipient,
    former_address,
)
from services.notify.domain.steps.sending import with_notifications
from services.notify.domain.transition import Transition


def record_contact(transition: Transition, before: Recipient | None, command: RecordContact) -> Decision:
    """Replace how a recipient is reached; the address is kept as a private value.

    Where somebody else has changed the address of a person, the person is told, also where it was before.
    """
    context = transition.context
    former = context.private.get(ADDRESS, "")
    is_own = context.actor.id == command.recipient_id
    # who repeats an address has not recorded it, unless it is their own
    is_kept = before is not None and former == command.email and not is_own
    by = before.recorded_by if before is not None and is_kept else context.actor.id
    after = Recipient(command.recipient_id, command.language, bool(command.email), by)
    if before == after and former == command.email:
        return Decision(before)
    recorded = ContactRecorded(
        channel="mail" if command.email else "inbox",
        language=command.language,
        recipient_id=command.recipient_id,
    )
    address = PrivateValue(command.recipient_id, ADDRESS, command.email)
    decision = Decision(after, events=(recorded,), private_values=(address,))
    if before is None or former == command.email:
        return decision
    told = {
        stream_id: _tell(transition, stream_id, state, command, former)
        for stream_id, state in context.others.items()
        if isinstance(state, Case)
    }
    return replace(decision, others=told)


def _tell(transition: Transition, case_id: UUID, case: Case, command: RecordContact, former: str) -> Decision:
    """Return the case in which a person is told that their address was changed."""
    context, person_id = transition.context, command.recipient_id
    changed = Notification(CONTACT_CHANGED, "holder", context.now, person_id, {})
    name = f"{CONTACT_CHANGED}|{person_id}|{context.now.isoformat()}"
    decision = with_notifications(case, case_id, {derived_id(case_id, name): changed}, by=context.actor.id)
    kept = tuple(
        PrivateValue(person_id, former_address(effect.key), former)
        for effect in decision.effects
        if effect.about["kind"] == CONTACT_CHANGED and former
    )
    return replace(decision, private_values=kept)


def name_department(_transition: Transition, before: Parties | None, event: DepartmentRegistered) -> Decision:
    """Record that the municipality has a department, which its administrator may say how to reach."""
    return Decision(Parties((before or Parties()).ids | {event.department_id}))


def name_organisation(_transition: Transition, before: Parties | None, event: OrganisationJoined) -> Decision:
    """Record that an organisation takes part in the municipality; the same for it."""
    return Decision(Parties((before or Parties()).ids | {event.organisation_id}))
