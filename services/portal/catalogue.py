"""What everybody of a municipality may read: its model, organisations and offers, kept for a short while."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from services.portal.service_client import ServiceProblem, ServiceSilent

if TYPE_CHECKING:
    from services.portal.visit import Visit

_SECONDS: Final = 30.0
_MOST: Final = 5_000
_MISSING: Final = 404


class Catalogue:
    """Answers of the directory by municipality and address; nothing in them is about a person."""

    def __init__(self) -> None:
        """Begin with none."""
        self._kept: dict[tuple[str, str], tuple[float, Any]] = {}

    async def model(self, visit: "Visit") -> Mapping[str, Any]:
        """Return the collaboration model that the person's municipality follows; raises as `Visit.get`."""
        model: Mapping[str, Any] = (await self._read(visit, "/directory/model"))["model"]
        return model

    async def organisation_name(self, visit: "Visit", organisation_id: UUID | str) -> str:
        """Return an organisation's name; empty where the directory does not say it."""
        found = await self._read_or_nothing(visit, f"/directory/organisations/{organisation_id}")
        return str(found.get("name", ""))

    async def offer(self, visit: "Visit", offer_id: UUID | str) -> Mapping[str, Any]:
        """Return an offer of the catalogue; empty where the directory does not say it."""
        return await self._read_or_nothing(visit, f"/directory/offers/{offer_id}")

    async def department_name(self, visit: "Visit", department_id: UUID | str) -> str:
        """Return a department's name; empty where the directory does not say it."""
        try:
            found = await self._read(visit, "/directory/departments")
        except (ServiceSilent, ServiceProblem):
            return ""
        names = {one["department_id"]: one["name"] for one in _items(found)}
        return str(names.get(str(department_id), ""))

    async def _read_or_nothing(self, visit: "Visit", path: str) -> Mapping[str, Any]:
        try:
            found: Mapping[str, Any] = await self._read(visit, path)
        except ServiceSilent:
            return {}
        except ServiceProblem as problem:
            if problem.status != _MISSING:
                raise
            return {}
        return found

    async def _read(self, visit: "Visit", path: str) -> Any:
        at = visit.person.tenant, path
        kept = self._kept.get(at)
        if kept is None or kept[0] < time.monotonic():
            if len(self._kept) > _MOST:
                self._kept.clear()
            kept = time.monotonic() + _SECONDS, await visit.get("directory", path)
            self._kept[at] = kept
        return kept[1]


def _items(answer: Any) -> list[Mapping[str, Any]]:
    return list(answer["items"] if isinstance(answer, Mapping) else answer)


def word(model: Mapping[str, Any], kind: str, code: str, language: str) -> str:
    """Return what a person reads for a code of the model, such as a reason; the code where it has none."""
    found = next((one for one in model.get(kind, ()) if one.get("code") == code), None)
    texts = (found or {}).get("text", {})
    return str(texts.get(language) or texts.get("en") or code)


def options_of(words: list[Mapping[str, Any]], language: str) -> list[tuple[str, str]]:
    """Return the choices that some words of the model make."""
    return [(one["code"], str(one["text"].get(language) or one["text"].get("en"))) for one in words]
