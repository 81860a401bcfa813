"""Events of the audit trail itself: who read it, and who was refused."""

from typing import ClassVar

from contracts.event import AccessRefused, EventDropped, Looked


class TrailLooked(Looked):
    """An auditor has read the trail of a case."""

    type: ClassVar[str] = "audit.looked.v1"


class TrailAccessRefused(AccessRefused):
    """Somebody was refused the trail."""

    type: ClassVar[str] = "audit.access_refused.v1"


class TrailEventDropped(EventDropped):
    """An operator has discarded an event that the audit service could not apply."""

    type: ClassVar[str] = "audit.event_dropped.v1"
