"""Access: everybody signs in and out themselves; whatever else a page does belongs to another service."""

from services.kernel.decider.decision import Context
from services.portal.domain.commands import SignIn, SignOut
from services.portal.domain.states import State


def authorize(_state: State | None, trigger: object, context: Context) -> bool:
    """Return whether the actor may take this step; refused is the default."""
    return isinstance(trigger, SignIn | SignOut) and context.actor.id == context.stream_id
