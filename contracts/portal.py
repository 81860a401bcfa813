"""Events of the portal: who signed in and out, and what its pages showed."""

from typing import ClassVar

from contracts.event import AccessRefused, EventDropped, Looked


class PortalLooked(Looked):
    """An operator has given a command on the portal: `what` names it."""

    type: ClassVar[str] = "portal.looked.v1"


class PortalAccessRefused(AccessRefused):
    """Somebody was refused a page or a step of the portal."""

    type: ClassVar[str] = "portal.access_refused.v1"


class PortalEventDropped(EventDropped):
    """An operator has discarded an event that the portal could not apply."""

    type: ClassVar[str] = "portal.event_dropped.v1"
