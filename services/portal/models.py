"""The collaboration model of each municipality, as the directory shows it, kept for a short while."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from services.portal.visit import Visit

_SECONDS: Final = 30.0


class Models:
    """Models by municipality; nothing in one is about a person, so everybody is shown the same."""

    def __init__(self) -> None:
        """Begin with none."""
        self._kept: dict[str, tuple[float, Mapping[str, Any]]] = {}

    async def model_of(self, visit: "Visit") -> Mapping[str, Any]:
        """Return the model that the person's municipality follows; raises as `Visit.get` does."""
        kept = self._kept.get(visit.person.tenant)
        if kept is None or kept[0] < time.monotonic():
            adopted = await visit.get("directory", "/directory/model")
            kept = time.monotonic() + _SECONDS, adopted["model"]
            self._kept[visit.person.tenant] = kept
        return kept[1]
