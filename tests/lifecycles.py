"""Checks on the tables of a lifecycle: where a trigger leads must be declared in its row."""

from collections.abc import Iterator
from types import NoneType
from typing import Any

from services.kernel.decider.decision import TimerFired
from services.kernel.decider.lifecycle import Lifecycle, Row


def row_for(lifecycle: Lifecycle, before: object, trigger: object) -> Row | None:
    """Return the row of a state and a trigger."""
    kind = trigger.kind.partition(":")[0] if isinstance(trigger, TimerFired) else type(trigger)
    return next((row for row in lifecycle.rows if (row.state, row.trigger) == (type(before), kind)), None)


def targets(lifecycle: Lifecycle, before: object, trigger: object) -> set[type]:
    """Return the states that a trigger may lead to; where it has no row, the state it is in."""
    row = row_for(lifecycle, before, trigger)
    return set(row.to) if row else {type(before)}


def declared(lifecycle: Lifecycle) -> Iterator[tuple[type, Any, type]]:
    """Yield every transition that the tables declare: from a state, by a trigger, to a state."""
    return ((row.state, row.trigger, to) for row in lifecycle.rows for to in row.to if to is not NoneType)
