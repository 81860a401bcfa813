"""Access: an auditor reads the trail; everything else is refused."""

from typing import Final

from services.audit.domain.states import Trail
from services.kernel.decider.decision import Context, ReadRequest

PARTS: Final = frozenset({"trail", "search", "by_actor", "by_type", "by_time"})
"""The parts of the trail that can be read, and the criteria of a search."""


def authorize(_state: Trail | None, trigger: object, context: Context) -> bool:
    """Return whether the actor may read; refused is the default."""
    return (
        isinstance(trigger, ReadRequest)
        and PARTS.issuperset(trigger.what)
        and context.actor.role == "auditor"
    )
