"""State machines as tables: which trigger fits which state, which step it takes, and where that may lead.

A service's `domain/lifecycle.py` holds one `Lifecycle` for each thing that has states, with three tables
side by side: on command, on event, on timer. A pair that stands in no table is refused for a command and
ignored for an event or a timer. The same tables answer which commands fit a state, and draw the diagrams of
the documentation.
"""

from collections.abc import Callable, Iterable
from types import NoneType
from typing import Any, Final, TypeVar

from msgspec import Struct

from services.kernel.decider.decision import Decision, TimerFired

T = TypeVar("T")
S = TypeVar("S")
C = TypeVar("C")

Step = Callable[[Any, Any, Any], Decision]
"""`(transition, state before, trigger) -> Decision`; pure. The transition is a value of the service's own."""

ABSENT: Final = NoneType
"""The state of what is not there yet."""


class Row(Struct, frozen=True):
    """One line of a table: from a state, by a trigger, through a step, to one of some states."""

    state: type
    trigger: type | str
    step: Step
    to: tuple[type, ...]


class Lifecycle:
    """One state machine: its name, its states in reading order, and its three tables."""

    def __init__(
        self,
        name: str,
        states: Iterable[type],
        *,
        on_command: Iterable[Row] = (),
        on_event: Iterable[Row] = (),
        on_timer: Iterable[Row] = (),
    ) -> None:
        """Raise `ValueError` where a pair stands twice, or a state is none of `states`."""
        self.name = name
        self.states: Final = tuple(states)
        self.on_command: Final = tuple(on_command)
        self.on_event: Final = tuple(on_event)
        self.on_timer: Final = tuple(on_timer)
        self._steps = _index((*self.on_command, *self.on_event, *self.on_timer))
        declared = {*self.states, ABSENT}
        strangers = {s for row in self.rows for s in (row.state, *row.to)} - declared
        if strangers:
            raise ValueError(f"{name}: not among its states: {sorted(s.__name__ for s in strangers)}")

    @property
    def rows(self) -> tuple[Row, ...]:
        """Return the lines of all three tables."""
        return (*self.on_command, *self.on_event, *self.on_timer)

    def step(self, state: object, trigger: object) -> Step | None:
        """Return the step of a command, an event or a fired timer in a state; None where it has none.

        A timer is found by its kind up to a colon: `progress:reminder` is a line for `progress`.
        """
        key = trigger.kind.partition(":")[0] if isinstance(trigger, TimerFired) else type(trigger)
        return self._steps.get((type(state), key))

    def commands_in(self, state: object) -> tuple[type, ...]:
        """Return the kinds of command that fit a state, in the order of the table."""
        kind = type(state)
        return tuple(
            row.trigger for row in self.on_command if row.state is kind and isinstance(row.trigger, type)
        )


def row(state: type[S], trigger: type[C], step: Callable[[T, S, C], Decision], *to: type) -> Row:
    """Return the line of a command or an event; without `to` the state stays."""
    return Row(state, trigger, step, to or (state,))


def timer_row(state: type[S], kind: str, step: Callable[[T, S, TimerFired], Decision], *to: type) -> Row:
    """Return the line of a timer, named by its kind up to a colon; without `to` the state stays."""
    return Row(state, kind, step, to or (state,))


def command_name(kind: type) -> str:
    """Return the name of a kind of command as answers and the audit trail write it: `accept_referral`."""
    letters = (f"_{letter.lower()}" if letter.isupper() else letter for letter in kind.__name__)
    return "".join(letters).lstrip("_")


def _index(rows: Iterable[Row]) -> dict[tuple[type, type | str], Step]:
    steps: dict[tuple[type, type | str], Step] = {}
    for one in rows:
        key = (one.state, one.trigger)
        if key in steps:
            raise ValueError(f"twice in one table: {one.state.__name__}, {one.trigger}")
        steps[key] = one.step
    return steps
