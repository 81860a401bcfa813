"""One transition of the notify service: the document before a step, and the context of the step."""

from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from services.kernel.decider.decision import Context
from services.notify.domain.states import Case, Notice, State


class Transition(Struct, frozen=True):
    """The stream's document before a step, and the context of the step."""

    document: State | None
    context: Context

    @property
    def case(self) -> Case:
        """Return the case; an empty one before its first event."""
        return self.document if isinstance(self.document, Case) else Case()

    def with_notice(self, notice_id: UUID, notice: Notice) -> Case:
        """Return the case after one notice was replaced."""
        return replace(self.case, notices={**self.case.notices, notice_id: notice})
