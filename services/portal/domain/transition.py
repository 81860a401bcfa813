"""One transition of the portal: the case before a step, and the context of the step."""

from msgspec import Struct

from services.kernel.decider.decision import Context
from services.portal.domain.states import Case


class Transition(Struct, frozen=True):
    """The case before a step, and the context of the step."""

    document: Case | None
    context: Context
