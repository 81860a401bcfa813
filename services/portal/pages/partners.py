"""Departments and organisations for the administrator: who takes part, since when; in and out."""

from datetime import date
from typing import Annotated, Final
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel, Field

from services.portal.catalogue import options_of
from services.portal.forms import Choice, Day, Form, Select, Text
from services.portal.pages.page import Area, Page
from services.portal.texts import _
from services.portal.visit import Visit

AREA: Final = Area()
ADMINISTRATOR: Final = ("administrator",)
Name = Annotated[str, Field(min_length=1, max_length=200)]

PARTNERS: Final = Page(
    "/partners",
    "administrator/partners.html",
    _("Who takes part"),
    ADMINISTRATOR,
    calls=("directory.departments", "directory.organisations"),
    menu=_("Who takes part"),
    done={
        "joined": _("The organisation takes part from today."),
        "left": _("The organisation takes part no longer."),
        "registered": _("The department is on the list."),
    },
)
JOIN: Final = Page(
    "/partners/join",
    "administrator/join.html",
    _("Let an organisation in"),
    ADMINISTRATOR,
    calls=("directory.model",),
    commands=("join",),
    parent=PARTNERS,
)
DEPARTMENT: Final = Page(
    "/partners/department",
    "administrator/department.html",
    _("Add a department"),
    ADMINISTRATOR,
    calls=("directory.model",),
    commands=("register",),
    parent=PARTNERS,
)
PARTNER: Final = Page(
    "/partners/organisations/{organisation_id}",
    "administrator/partner.html",
    _("One organisation"),
    ADMINISTRATOR,
    calls=("directory.organisation",),
    commands=("leave",),
    parent=PARTNERS,
)
_REASONS: Final = (
    ("own_wish", _("It wants to stop")),
    ("too_few_volunteers", _("It has too few volunteers")),
    ("dissolved", _("The association is dissolved")),
    ("merged", _("It goes on as part of another one")),
    ("declaration_expired", _("Its declaration of child protection has run out")),
    ("terms_not_accepted", _("It has not accepted the terms")),
    ("terms_broken", _("The municipality ends it")),
    ("entered_in_error", _("It was entered by mistake")),
)


class Joining(BaseModel):
    """An organisation that is let in."""

    name: Name
    number: Annotated[str, Field(pattern=r"^[0-9]{8,9}$")] | None = None
    declaration_until: date


class Registering(BaseModel):
    """A department that takes part."""

    kind: str
    name: Name


class Leaving(BaseModel):
    """Why an organisation leaves."""

    reason: str


JOINING: Final = Form(
    Joining,
    name=Text(_("Name of the organisation"), sentences={"missing": _("Write the organisation's name")}),
    number=Text(
        _("Registration number"),
        _("CVR in Denmark, organisation number in Norway. Leave it empty if there is none."),
        sentences={"invalid": _("Write 8 or 9 digits without blanks")},
    ),
    declaration_until=Day(_("The declaration of child protection is valid until")),
)
REGISTERING: Final = Form(
    Registering,
    kind=Select(_("Kind of department"), sentences={"missing": _("Choose a kind")}),
    name=Text(_("Name of the department"), sentences={"missing": _("Write the department's name")}),
)
LEAVING: Final = Form(Leaving, reason=Choice(_("Why does it leave?"), options=_REASONS))


@AREA.get(PARTNERS)
async def partners(visit: Visit) -> Response:
    """List the departments and the organisations that take part, and those that did."""
    parts = await visit.parts(
        departments=visit.items("directory", "/directory/departments"),
        organisations=visit.items("directory", "/directory/organisations"),
        model=visit.model(),
    )
    return visit.render(**parts)


@AREA.get(JOIN)
async def ask_who_joins(visit: Visit) -> Response:
    """Ask which organisation is let in."""
    return visit.render(form=visit.form(JOINING))


@AREA.post(JOIN, "join")
async def join(visit: Visit) -> Response:
    """Let an organisation in, under the model that the municipality follows."""
    said = visit.bind(JOINING).value
    adopted = await visit.get("directory", "/directory/model")
    body = {
        "name": said.name,
        "number": said.number or "",
        "terms": adopted["ref"].replace("/", "_"),
        "declaration_until": said.declaration_until.isoformat(),
    }
    await visit.command("directory", "/directory/organisations", body, version="")
    return visit.redirect(PARTNERS, done="joined")


@AREA.get(DEPARTMENT)
async def ask_which_department(visit: Visit) -> Response:
    """Ask which department is added."""
    kinds = options_of((await visit.model())["departments"], visit.language)
    return visit.render(form=visit.form(REGISTERING).with_options(kind=kinds))


@AREA.post(DEPARTMENT, "register")
async def register(visit: Visit) -> Response:
    """Add a department."""
    said = visit.bind(REGISTERING).value
    await visit.command("directory", "/directory/departments", said.model_dump(), version="")
    return visit.redirect(PARTNERS, done="registered")


@AREA.get(PARTNER)
async def partner(visit: Visit, organisation_id: UUID) -> Response:
    """Show one organisation, since when it takes part, and the way out."""
    found = await visit.get("directory", f"/directory/organisations/{organisation_id}")
    return visit.render(found=found, form=visit.form(LEAVING))


@AREA.post(PARTNER, "leave")
async def leave(visit: Visit, organisation_id: UUID) -> Response:
    """End an organisation's part."""
    said = visit.bind(LEAVING).value
    at = f"/directory/organisations/{organisation_id}/leave"
    await visit.command("directory", at, said.model_dump(), version="")
    return visit.redirect(PARTNERS, done="left")
