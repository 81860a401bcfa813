"""Step of a contact: the language and the address of a recipient."""

from contracts.notify import ContactRecorded
from services.kernel.decider.decision import Decision, PrivateValue
from services.notify.domain.commands import RecordContact
from services.notify.domain.states import ADDRESS, Recipient
from services.notify.domain.transition import Transition


def record_contact(transition: Transition, before: Recipient | None, command: RecordContact) -> Decision:
    """Replace how a recipient is reached; the address is kept as a private value."""
    context = transition.context
    after = Recipient(command.language, bool(command.email))
    if before == after and context.private.get(ADDRESS, "") == command.email:
        return Decision(before)
    recorded = ContactRecorded(
        channel="mail" if command.email else "inbox",
        language=command.language,
        recipient_id=command.recipient_id,
    )
    address = PrivateValue(context.stream_id, ADDRESS, command.email)
    return Decision(after, events=(recorded,), private_values=(address,))
