"""Every event type of Samspil, by its name."""

from typing import Final

from contracts import agreement, audit, consent, directory, evaluation, notify, portal, referral
from contracts.event import Event

_MODULES: Final = (directory, referral, consent, agreement, evaluation, notify, audit, portal)

EVENTS: Final[dict[str, type[Event]]] = {
    kind.type: kind
    for module in _MODULES
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Event) and "type" in vars(kind)
}
