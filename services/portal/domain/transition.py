"""One transition of the portal: the document before a step, and the context of the step."""

from msgspec import Struct

from services.kernel.decider.decision import Context
from services.portal.domain.states import State


class Transition(Struct, frozen=True):
    """The document before a step, and the context of the step."""

    document: State | None
    context: Context
