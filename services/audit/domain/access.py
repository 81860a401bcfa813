"""Access: an auditor reads the trail, a family its looks, an operator types of events; else refused."""

from typing import Final

from services.audit.domain.states import Trail
from services.kernel.decider.decision import Context, ReadRequest

PARTS: Final = frozenset({"trail", "search", "by_actor", "by_type", "by_time"})
"""The parts of the trail that can be read, and the criteria of a search."""

LOOKS: Final = "looks"
"""Who has looked at a case, for those whose case it is."""

EVENTS: Final = "case_events"
"""The types, times and traces of a case's events, for operators."""

FAMILY: Final = frozenset({"guardian", "young_person"})


def authorize(_state: Trail | None, trigger: object, context: Context) -> bool:
    """Return whether the actor may read; refused is the default."""
    if not isinstance(trigger, ReadRequest):
        return False
    if context.actor.role in FAMILY:
        return trigger.what == (LOOKS,)
    if context.actor.role == "operator":
        return trigger.what == (EVENTS,)
    return PARTS.issuperset(trigger.what) and context.actor.role == "auditor"
