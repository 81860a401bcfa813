"""The audit trail for an auditor: one case, one person, one time, and whether it is whole."""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel, Field

from services.portal.forms import Day, Form, Text, day_of
from services.portal.pages.page import Area, Page
from services.portal.texts import _
from services.portal.visit import Visit, uuid_of

AREA: Final = Area()
AUDITOR: Final = ("auditor",)

TRAIL: Final = Page(
    "/trail",
    "auditor/trail.html",
    _("Audit trail"),
    AUDITOR,
    calls=("audit.figures",),
    commands=("search",),
    menu=_("Audit trail"),
)
CASE_TRAIL: Final = Page(
    "/trail/cases/{case_id}",
    "auditor/entries.html",
    _("What happened in a case"),
    AUDITOR,
    looks=("trail",),
    calls=("audit.case",),
    parent=TRAIL,
)
FOUND: Final = Page(
    "/trail/found",
    "auditor/entries.html",
    _("What was found in the trail"),
    AUDITOR,
    looks=("search",),
    calls=("audit.search",),
    parent=TRAIL,
)
Id = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]


class Search(BaseModel):
    """What is looked for: one case, or what one person did, or a time; at least one of them."""

    case_id: Id | None = None
    actor: Id | None = None
    since: str | None = None
    until: str | None = None


_ID_HINT: Final = _("The caseworker finds it in the address of the case's pages: five groups with hyphens.")
SEARCH: Final = Form(
    Search,
    case_id=Text(
        _("Id of the case"), _ID_HINT, sentences={"invalid": _("Write the whole id, with its hyphens")}
    ),
    actor=Text(
        _("Id of the person who did it"), sentences={"invalid": _("Write the whole id, with its hyphens")}
    ),
    since=Day(_("From")),
    until=Day(_("Until")),
)


@AREA.get(TRAIL)
async def trail(visit: Visit) -> Response:
    """Show whether the trail is whole, and where to search."""
    found = await visit.parts(figures=visit.get("audit", "/audit/figures"))
    return visit.render(**found, form=visit.form(SEARCH))


@AREA.post(TRAIL, "search")
async def search(visit: Visit) -> Response:
    """Lead to what was looked for; the criteria are ids and days, which may stand in an address."""
    said = visit.bind(SEARCH).value
    if said.case_id:
        return visit.redirect(CASE_TRAIL, case_id=said.case_id)
    given = {name: value for name, value in said.model_dump().items() if value}
    if not given:
        raise visit.refuse("case_id", _("Write at least one of these"))
    return visit.redirect_to(FOUND.path + "?" + visit.query(**given))


@AREA.get(CASE_TRAIL)
async def case_trail(visit: Visit, case_id: UUID) -> Response:
    """Show what happened in one case and who read it."""
    cursor = visit.request.query_params.get("cursor", "")
    found = await visit.get("audit", f"/audit/cases/{case_id}", cursor=cursor, limit=100)
    return visit.render(**_page(found), here=CASE_TRAIL.url(case_id=case_id), criteria="")


@AREA.get(FOUND)
async def found_entries(visit: Visit) -> Response:
    """Show what one person did, or what happened in a time."""
    given = visit.request.query_params
    actor, since, until = (
        uuid_of(given.get("actor", "")),
        day_of(given.get("since", "")),
        day_of(given.get("until", "")),
    )
    asked = {
        "actor": actor,
        "from": since and f"{since.isoformat()}T00:00:00+01:00",
        "to": until and f"{until.isoformat()}T23:59:59+01:00",
    }
    found = await visit.get("audit", "/audit/search", **asked, cursor=given.get("cursor", ""), limit=100)
    criteria = visit.query(actor=actor or "", since=since or "", until=until or "")
    return visit.render(**_page(found), here=FOUND.path, criteria=criteria)


def _page(found: dict[str, Any]) -> dict[str, Any]:
    entries = found.get("items", found.get("entries", []))
    return {"entries": entries, "next": found.get("next"), "waiting": found.get("waiting", [])}
