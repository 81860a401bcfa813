"""Access: nobody reads the portal's own streams; pages ask the services as the person who is signed in."""

from services.kernel.decider.decision import Context
from services.portal.domain.states import Case


def authorize(_state: Case | None, _trigger: object, _context: Context) -> bool:
    """Return False: every command and every look belongs to another service."""
    return False
