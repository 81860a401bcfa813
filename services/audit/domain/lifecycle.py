"""Lifecycle of a trail: every event of every service is appended, and no command changes it."""

from typing import Final

from contracts.event import Event, Ticked
from contracts.registry import EVENTS
from services.audit.domain.states import Trail
from services.audit.domain.steps import append
from services.audit.domain.transition import Transition
from services.kernel.decider.decision import Context, Decision
from services.kernel.decider.lifecycle import ABSENT, Lifecycle, row
from services.kernel.errors import InvalidTransition

_APPENDED: Final = tuple(event for event in EVENTS.values() if not issubclass(event, Ticked))

TRAIL: Final = Lifecycle(
    "trail",
    (Trail,),
    on_event=(
        *(row(ABSENT, event, append, Trail) for event in _APPENDED),
        *(row(Trail, event, append) for event in _APPENDED),
    ),
)

LIFECYCLES: Final = (TRAIL,)


def decide(state: Trail | None, trigger: object, context: Context) -> Decision:
    """Return the trail with one event more; raises `InvalidTransition` for any command or timer."""
    step = TRAIL.step(state, trigger)
    if step is not None:
        return step(Transition(state, context), state, trigger)
    if isinstance(trigger, Event):
        return Decision(state)
    raise InvalidTransition
