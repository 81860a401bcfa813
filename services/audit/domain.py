"""The rules of the trail: everything is kept, nothing is changed, an auditor reads it; pure."""

from datetime import datetime
from typing import Final

from msgspec import Struct

from contracts.event import Event
from services.kernel.decider.decision import Context, Decision, ReadRequest
from services.kernel.errors import InvalidTransition

PARTS: Final = frozenset({"trail", "search", "by_actor", "by_type", "by_time"})
"""What of the trail can be looked at, and by what it was searched."""


class Trail(Struct, frozen=True, tag="trail", tag_field="kind"):
    """How many events of a stream are kept, of all services together, and when the last one happened."""

    count: int
    last_at: datetime


def decide(state: Trail | None, trigger: object, context: Context) -> Decision:
    """Return the trail with one event more; there is nothing else to decide."""
    if not isinstance(trigger, Event):
        raise InvalidTransition
    if state is None:
        return Decision(Trail(1, context.now))
    return Decision(Trail(state.count + 1, max(state.last_at, context.now)))


def allows(_state: Trail | None, trigger: object, context: Context) -> bool:
    """Return whether the actor may look: an auditor, at the trail alone."""
    return (
        isinstance(trigger, ReadRequest)
        and PARTS.issuperset(trigger.what)
        and context.actor.role == "auditor"
    )
