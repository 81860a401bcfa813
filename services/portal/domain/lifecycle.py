"""Lifecycle of a case in the read model: events change it, commands never do."""

from services.kernel.decider.decision import Context, Decision
from services.kernel.errors import InvalidTransition
from services.portal.domain.states import Case


def decide(_state: Case | None, _trigger: object, _context: Context) -> Decision:
    """Return the case after an event; raises `InvalidTransition` for any command or timer."""
    raise InvalidTransition
