"""One transition of the audit service: the trail before a step, and the context of the step."""

from msgspec import Struct

from services.audit.domain.states import Trail
from services.kernel.decider.decision import Context


class Transition(Struct, frozen=True):
    """The stream's trail before a step, and the context of the step."""

    document: Trail | None
    context: Context
