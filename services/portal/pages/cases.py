"""Cases of a department: the list with its filters, and a new case."""

from datetime import date
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel, Field

from services.portal.casework.case_file import CASEWORKER
from services.portal.casework.lines import lines_of, names_of
from services.portal.casework.stages import OF_CASE, OF_REFERRAL
from services.portal.forms import Bound, Day, Form, Option, Text
from services.portal.pages.case import CASE
from services.portal.pages.page import Area, Page
from services.portal.texts import _
from services.portal.visit import Visit

AREA: Final = Area()
_ROWS: Final = 25

CASES: Final = Page(
    "/cases",
    "case/cases.html",
    _("Cases"),
    CASEWORKER,
    looks=("name",),
    calls=("referral.cases", "referral.names", "referral.search"),
    commands=("search",),
    menu=_("Cases"),
)
NEW_CASE: Final = Page(
    "/cases/new",
    "case/new_case.html",
    _("New case"),
    CASEWORKER,
    commands=("check", "change", "open"),
    parent=CASES,
)

STATUSES: Final = (
    "opened", "views_noted", "eligible", "awaiting_consent", "ready", "sent", "accepted", "under_way",
    "closed",
)  # fmt: skip
"""The stages by which the list can be narrowed."""


Line = Annotated[str, Field(min_length=1, max_length=200)]
Words = Annotated[str, Field(max_length=4000)]


class Search(BaseModel):
    """The name of a child, or its beginning."""

    name: Line


SEARCHING: Final = Form(
    Search,
    name=Text(
        _("Find a case by the child's name"),
        sentences={"missing": _("Write the name, or the beginning of it")},
    ),
)


class NewCase(BaseModel):
    """Whom a new case is about."""

    first_name: Line
    family_name: Line
    born: date
    residence: Annotated[str, Field(pattern=r"^[0-9]{4}$")]
    language: Words = ""
    contact: Words = ""
    practical: Words = ""


NEW: Final = Form(
    NewCase,
    first_name=Text(_("First name"), sentences={"missing": _("Write the child's first name")}),
    family_name=Text(_("Family name"), sentences={"missing": _("Write the child's family name")}),
    born=Day(_("Born"), _("For example 4.1.2017"), sentences={
        "missing": _("Write when the child was born, for example 4.1.2017"),
        "invalid": _("Write the day of birth, for example 4.1.2017; it cannot lie ahead"),
    }),
    residence=Text(
        _("Number of the municipality where the child lives"),
        _("Four digits; your own municipality is filled in"),
        sentences={"invalid": _("Write the four digits of the municipality, for example 0440")},
    ),
    language=Text(
        _("Language, and whether an interpreter is needed"), _("Leave it empty where Danish is fine")
    ),
    contact=Text(_("How the family is reached"), _("Names and telephone, as the family wishes it"), lines=2),
    practical=Text(_("Practical matters"), _("For example an allergy or a wheelchair"), lines=2),
)  # fmt: skip
KNOWN: Final = ("first_name", "family_name", "born", "residence", "language", "contact", "practical")


@AREA.get(CASES)
async def cases(visit: Visit) -> Response:
    """List the department's cases, narrowed by stage or found by name."""
    query = visit.request.query_params
    status = query.get("status", "") if query.get("status", "") in STATUSES else ""
    before = query.get("before", "")
    found = await visit.items("referral", "/referral/cases", status=status, before=before, limit=_ROWS + 1)
    shown = found[:_ROWS]
    names = await names_of(visit, [one["case_id"] for one in shown])
    return visit.render(
        lines=lines_of(visit, shown, names),
        status=status,
        statuses=_statuses(visit),
        following=shown[-1]["case_id"] if len(found) > _ROWS else "",
        searching=visit.form(SEARCHING),
        searched=False,
    )


@AREA.post(CASES, "search")
async def search(visit: Visit) -> Response:
    """List the cases of the children with a name; it is sent in the body, so that no address holds it."""
    said = visit.bind(SEARCHING)
    found = await visit.read("referral", "/referral/search", {"name": said.value.name})
    names = {str(one["case_id"]): str(one["name"] or "") for one in found}
    return visit.render(
        lines=lines_of(visit, found, names),
        status="",
        statuses=_statuses(visit),
        following="",
        searching=said,
        searched=True,
    )


def _bound(visit: Visit) -> Bound[NewCase]:
    """Return the form as it was sent; raises `FormRefused` where it does not fit."""
    bound = visit.bind(NEW)
    if bound.value.born > visit.today:
        raise visit.refuse("born", NEW.fields["born"].sentence("invalid"))
    return bound


def _statuses(visit: Visit) -> list[Option]:
    words = {**OF_CASE, **OF_REFERRAL, "closed": OF_CASE["closed"]}
    return [(code, visit.translate(words[code].text)) for code in STATUSES]


@AREA.get(NEW_CASE)
async def new_case(visit: Visit) -> Response:
    """Ask whom a new case is about."""
    return visit.render(form=visit.form(NEW, residence=visit.person.tenant), checking=None)


@AREA.post(NEW_CASE, "check")
async def check_case(visit: Visit) -> Response:
    """Show what was typed, to be checked before the case is opened."""
    bound = _bound(visit)
    return visit.render(form=bound, checking=bound.value)


@AREA.post(NEW_CASE, "change")
async def change_case(visit: Visit) -> Response:
    """Show the form again with what was typed."""
    return visit.render(form=visit.bind(NEW), checking=None)


@AREA.post(NEW_CASE, "open")
async def begin_case(visit: Visit) -> Response:
    """Open the case, and lead to it."""
    child = _bound(visit).value
    body: dict[str, Any] = child.model_dump(mode="json")
    done = await visit.command("referral", "/referral/cases", body)
    return visit.redirect(CASE, done="opened", case_id=UUID(done["id"]))
