"""Purpose of an access: why an actor reads private values, by their role."""

from typing import Final

from services.kernel.decider.decision import Actor

_PURPOSES: Final = {
    "caseworker": "casework",
    "coordinator": "follow_up",
    "guardian": "own_child",
    "young_person": "own_case",
}


def purpose_of(actor: Actor) -> str:
    """Return the purpose that the audit trail states for an access."""
    return _PURPOSES.get(actor.role, "other")
