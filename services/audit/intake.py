"""What the audit service hears: everything that happens."""

from typing import Final

from contracts.event import Event, Ticked
from contracts.registry import EVENTS

HEARS: Final[tuple[type[Event], ...]] = tuple(
    # A look or a refusal says in its body which case it concerns and what was wanted of it. Of all else who,
    # when, what kind and in which case is kept, and its place, so that nothing can go missing unseen.
    event
    for event in EVENTS.values()
    # A tick is no deed of anybody and has no place in a stream.
    if not issubclass(event, Ticked)
)
