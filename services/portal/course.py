"""The course of a case after its acceptance: agreement and evaluations, asked only once there are any.

A service answers 404 for what is not there as for what is somebody else's, and notes a denial in the trail:
pages ask for nothing that cannot be there yet.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from services.portal.service_client import SILENT
from services.portal.visit import Visit

_TAKEN: Final = frozenset({"accepted", "under_way", "closed"})


async def course_of(visit: Visit, case_id: UUID, referrals: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the agreements and the evaluations of a case: each None before it begins, or `SILENT`."""
    if not any(one["status"] in _TAKEN for one in referrals):
        return {"agreements": None, "evaluations": None}
    found = await visit.parts(agreements=visit.get("agreement", f"/agreement/cases/{case_id}"))
    agreements = found["agreements"]
    if agreements is SILENT or any(one["in_force_on"] for one in agreements["agreements"]):
        more = await visit.parts(evaluations=visit.get("evaluation", f"/evaluation/cases/{case_id}"))
    else:
        more = {"evaluations": None}
    return {**found, **more}
