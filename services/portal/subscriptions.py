"""Events that the portal consumes, and why."""

from typing import Final

from contracts.event import Event
from services.portal.domain.lifecycle import NOTED

SUBSCRIBES_TO: Final[tuple[type[Event], ...]] = NOTED
# What happened in a case is shown to those who follow it, in the order in which it happened.
