"""People for the administrator: who has which role, invitations, renewal, hand-over and end."""

from datetime import date
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel, Field

from services.portal.forms import Day, Form, Select, Text
from services.portal.pages.page import Area, Page
from services.portal.site_texts import ROLE_NAMES
from services.portal.texts import _
from services.portal.visit import Visit

AREA: Final = Area()
ADMINISTRATOR: Final = ("administrator",)
STAFF_ROLES: Final = (
    "caseworker",
    "coordinator",
    "leader",
    "bridge_builder",
    "auditor",
    "administrator",
    "operator",
)

PEOPLE: Final = Page(
    "/people",
    "administrator/people.html",
    _("People"),
    ADMINISTRATOR,
    looks=("names",),
    calls=("directory.accounts", "directory.invitations"),
    commands=("revoke",),
    menu=_("People"),
    done={
        "revoked": _("The invitation is taken back. Its code can no longer be used."),
    },
)
INVITE: Final = Page(
    "/people/invite",
    "administrator/invite.html",
    _("Invite somebody"),
    ADMINISTRATOR,
    calls=("directory.departments", "directory.organisations"),
    commands=("invite",),
    parent=PEOPLE,
)
PERSON: Final = Page(
    "/people/{account_id}",
    "administrator/person.html",
    _("One person"),
    ADMINISTRATOR,
    looks=("account",),
    calls=("directory.account",),
    commands=("end", "renew"),
    parent=PEOPLE,
    done={
        "ended": _("The role is ended. The person is signed out within a minute."),
        "renewed": _("The last day is changed."),
    },
)


class Invitation(BaseModel):
    """Whom an administrator invites, to which role, and where."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    role: str
    place: str = ""
    until: date | None = None


class Renewal(BaseModel):
    """Until when a role goes on; without a day it goes on until it is ended."""

    until: date | None = None


INVITATION: Final = Form(
    Invitation,
    name=Text(_("Name"), sentences={"missing": _("Write the person's name")}),
    role=Select(_("Role"), sentences={"missing": _("Choose a role")}),
    place=Select(
        _("Department or organisation"),
        _("Caseworkers and leaders belong to a department, coordinators to an organisation."),
    ),
    until=Day(_("Last day"), _("Leave it empty if the role has no end yet.")),
)
RENEWAL: Final = Form(Renewal, until=Day(_("Last day"), _("Leave it empty if the role has no end yet.")))


@AREA.get(PEOPLE)
async def people(visit: Visit) -> Response:
    """List who has an account, and the invitations that nobody has used yet."""
    cursor = visit.request.query_params.get("cursor", "")
    parts = await visit.parts(
        accounts=visit.get("directory", "/directory/accounts", cursor=cursor, limit=25),
        invitations=visit.get("directory", "/directory/invitations", status="open", limit=25),
    )
    return visit.render(**parts, places=await _places(visit), role_names=_role_names(visit))


@AREA.post(PEOPLE, "revoke")
async def revoke(visit: Visit) -> Response:
    """Take an invitation back."""
    await visit.command("directory", f"/directory/invitations/{visit.sent.id('invitation_id')}/revoke")
    return visit.redirect(PEOPLE, done="revoked")


@AREA.get(INVITE)
async def ask_whom(visit: Visit) -> Response:
    """Ask whom to invite."""
    places = await _places(visit)
    form = visit.form(INVITATION).with_options(
        role=[(role, _role_names(visit)[role]) for role in STAFF_ROLES], place=list(places.items())
    )
    return visit.render(form=form, made=None)


@AREA.post(INVITE, "invite")
async def invite(visit: Visit) -> Response:
    """Invite somebody, and show the code this once."""
    said = visit.bind(INVITATION).value
    body: dict[str, Any] = {"role": said.role, "name": said.name}
    if said.place:
        departments = await visit.items("directory", "/directory/departments")
        is_department = said.place in {one["department_id"] for one in departments}
        body["department_id" if is_department else "organisation_id"] = said.place
    if said.until:
        body["until"] = said.until.isoformat()
    made = await visit.command("directory", "/directory/invitations", body, version="")
    return visit.render(form=visit.form(INVITATION), made=made)


@AREA.get(PERSON)
async def person(visit: Visit, account_id: UUID) -> Response:
    """Show who somebody is here: every role, since when and by whom."""
    found = await visit.get("directory", f"/directory/accounts/{account_id}")
    return visit.render(
        found=found, places=await _places(visit), role_names=_role_names(visit), form=visit.form(RENEWAL)
    )


@AREA.post(PERSON, "end")
async def end(visit: Visit, account_id: UUID) -> Response:
    """End a role today."""
    at = f"/directory/accounts/{account_id}/memberships/{visit.sent.id('membership_id')}"
    await visit.command("directory", f"{at}/end", version="")
    return visit.redirect(PERSON, done="ended", account_id=account_id)


@AREA.post(PERSON, "renew")
async def renew(visit: Visit, account_id: UUID) -> Response:
    """Let a role go on until another day."""
    until = visit.bind(RENEWAL).value.until
    at = f"/directory/accounts/{account_id}/memberships/{visit.sent.id('membership_id')}"
    await visit.command("directory", f"{at}/renew", {"until": until.isoformat() if until else None})
    return visit.redirect(PERSON, done="renewed", account_id=account_id)


def _role_names(visit: Visit) -> dict[str, str]:
    return {role: visit.translate(name) for role, name in ROLE_NAMES.items()}


async def _places(visit: Visit) -> dict[str, str]:
    """Return the names of departments and organisations by id."""
    departments = await visit.items("directory", "/directory/departments")
    organisations = await visit.items("directory", "/directory/organisations")
    return {one["department_id"]: one["name"] for one in departments} | {
        one["organisation_id"]: one["name"] for one in organisations if one["status"] == "joined"
    }
