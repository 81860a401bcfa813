"""Events of the portal: who signed in and out, and what its pages showed."""

from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from contracts.event import AccessRefused, Code, Event, EventDropped, Looked


class PortalLooked(Looked):
    """An operator has given a command on the portal: `what` names it."""

    type: ClassVar[str] = "portal.looked.v1"


class PortalAccessRefused(AccessRefused):
    """Somebody was refused a page or a step of the portal."""

    type: ClassVar[str] = "portal.access_refused.v1"


class PortalEventDropped(EventDropped):
    """An operator has discarded an event that the portal could not apply."""

    type: ClassVar[str] = "portal.event_dropped.v1"


class WhySignedOut(StrEnum):
    """Why a session ended by itself or by somebody; readers must expect words that are new to them."""

    OWN_WISH = "own_wish"  # the person signed out
    ELSEWHERE = "elsewhere"  # the person ended it from another session
    REPLACED = "replaced"  # a new sign-in in the same browser, such as for another role
    AT_PROVIDER = "at_provider"  # the provider said that its session had ended


class PortalSignedIn(Event):
    """Somebody has signed in, in one role; a session that nobody uses ends by itself without an event."""

    type: ClassVar[str] = "portal.signed_in.v1"

    account_id: UUID
    role: Code
    assurance: Code
    method: Code


class PortalSignedOut(Event):
    """A session of somebody's was ended before its time."""

    type: ClassVar[str] = "portal.signed_out.v1"

    account_id: UUID
    role: Code
    reason: Code
