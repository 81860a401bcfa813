"""Step of the audit service: count one more event; pure."""

from contracts.event import Event
from services.audit.domain.states import Trail
from services.audit.domain.transition import Transition
from services.kernel.decider.decision import Decision


def append(transition: Transition, before: Trail | None, _event: Event) -> Decision:
    """Count the event; the last time is the latest, in whichever order the topics are consumed."""
    at = transition.context.now
    if before is None:
        return Decision(Trail(1, at))
    return Decision(Trail(before.count + 1, max(before.last_at, at)))
