"""Who reads and acts: the purpose of an access by role, and the order of assurance levels."""

from typing import Final

from services.kernel.decider.decision import Actor

_PURPOSES: Final = {
    "caseworker": "casework",
    "coordinator": "follow_up",
    "guardian": "own_child",
    "young_person": "own_case",
}
ASSURANCE_LEVELS: Final = ("none", "low", "substantial", "high")
"""How surely an actor is identified, from `none` up: regulation (EU) 910/2014 (eIDAS), article 8."""


def purpose_of(actor: Actor) -> str:
    """Return the purpose that the audit trail states for an access."""
    return _PURPOSES.get(actor.role, "other")


def at_least(assurance: str, level: str) -> bool:
    """Return whether an assurance level reaches another; one that is unknown reaches `none` only.

    Raises `ValueError` where the level to be reached is none of `ASSURANCE_LEVELS`.
    """
    needed = ASSURANCE_LEVELS.index(level)
    reached = ASSURANCE_LEVELS.index(assurance) if assurance in ASSURANCE_LEVELS else 0
    return reached >= needed
