"""Lines of the list of cases: the child's name, the stage, the next step, who takes it and by when."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from services.portal.casework import stages
from services.portal.rendering import as_day
from services.portal.service_client import ServiceProblem, ServiceSilent
from services.portal.texts import _
from services.portal.visit import Visit


class CaseLine(Struct, frozen=True, kw_only=True):
    """One case in a list; `next` and `who` are marked texts."""

    case_id: str
    name: str
    opened_on: date
    stage: stages.Stage
    next: str
    who: str
    by: date | None
    late: bool
    mine: bool


_NEXT: Final[Mapping[str, tuple[str, str]]] = {
    "opened": (_("Write down the views of child and family"), _("You")),
    "views_noted": (_("Assess the case"), _("You")),
    "eligible": (_("Choose an offer"), _("You")),
    "not_eligible": (_("Close the case"), _("You")),
    "closed": ("", ""),
    "drafted": (_("Ask for consent"), _("You")),
    "awaiting_consent": (_("Answers whether you may share"), _("The family")),
    "ready": (_("Send the referral"), _("You")),
    "sent": (_("Says whether it takes the case"), _("The organisation")),
    "seen": (_("Says whether it takes the case"), _("The organisation")),
    "accepted": (_("See to the start-up meeting and the agreement"), _("You")),
    "under_way": (_("Follow up"), _("You and the organisation")),
}
_AGAIN: Final = (_("Choose another offer, or close the case"), _("You"))


def lines_of(visit: Visit, found: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> list[CaseLine]:
    """Return the lines of a list, in the order in which they were found."""
    return [_line(visit, one, names.get(str(one["case_id"]), "")) for one in found]


def _line(visit: Visit, one: Mapping[str, Any], name: str) -> CaseLine:
    last = stages.last_referral({"referrals": one["referrals"]})
    at = last["status"] if last and one["status"] in {"eligible", "views_noted"} else one["status"]
    text, who = _NEXT.get(at, _AGAIN)
    by = as_day(last["due_on"]) if last and last["due_on"] and at == last["status"] else None
    return CaseLine(
        case_id=str(one["case_id"]),
        name=name,
        opened_on=as_day(one["opened_at"]),
        stage=stages.stage_of(one["status"], last["status"] if last else None),
        next=text,
        who=who,
        by=by,
        late=by is not None and by < visit.today,
        mine=str(one.get("caseworker_id", "")) == str(visit.person.sub),
    )


async def names_of(visit: Visit, case_ids: Sequence[UUID | str]) -> dict[str, str]:
    """Return the children's names of some cases, in one look; nothing where they cannot be shown now."""
    if not case_ids:
        return {}
    try:
        found = await visit.read("referral", "/referral/names", {"case_ids": [str(one) for one in case_ids]})
    except (ServiceSilent, ServiceProblem):
        return {}
    return {str(one["case_id"]): str(one["name"] or "") for one in found}
