"""Inviting a parent or the young person to the portal: a code, shown once, that they type after sign-in."""

from typing import Any, Final
from uuid import UUID

from fastapi import Response

from services.kernel.errors import NotFound
from services.portal.casework.case_file import CASEWORKER, file_of
from services.portal.pages.case_consent import CONSENT
from services.portal.pages.page import Area, Page
from services.portal.texts import _
from services.portal.visit import Visit

AREA: Final = Area()

INVITE_FAMILY: Final = Page(
    "/cases/{case_id}/invite/{person_id}",
    "case/invite.html",
    _("Invite to the portal"),
    CASEWORKER,
    looks=("case", "consent"),
    calls=("referral.case", "consent.case"),
    commands=("invite",),
    parent=CONSENT,
)


@AREA.get(INVITE_FAMILY)
async def ask_to_invite(visit: Visit, case_id: UUID, person_id: UUID) -> Response:
    """Say what an invitation is, before one is made."""
    return await _shown(visit, case_id, person_id, made=None)


@AREA.post(INVITE_FAMILY, "invite")
async def invite(visit: Visit, case_id: UUID, person_id: UUID) -> Response:
    """Make the invitation, and show its code this once."""
    _who, role, _confirmed = await _invited(visit, case_id, person_id)
    body = {"role": role, "person_id": str(person_id)}
    made = await visit.command("directory", "/directory/invitations", body, version="")
    return await _shown(visit, case_id, person_id, made=made)


async def _shown(visit: Visit, case_id: UUID, person_id: UUID, *, made: Any) -> Response:
    file = await file_of(visit, case_id)
    who, role, confirmed = await _invited(visit, case_id, person_id)
    return visit.render(**file, who=who, role=role, confirmed=confirmed, made=made)


async def _invited(visit: Visit, case_id: UUID, person_id: UUID) -> tuple[dict[str, Any], str, bool]:
    """Return who is invited, to which role, and whether custody is confirmed.

    Raises `NotFound` for anybody whom custody does not name.
    """
    custody = (await visit.get("consent", f"/consent/cases/{case_id}"))["custody"]
    if custody is not None:
        confirmed = custody["confirmed_at"] is not None
        for one in custody["holders"]:
            if one["person_id"] == str(person_id):
                return one, "guardian", confirmed
        young = custody["young_person"]
        if young is not None and young["person_id"] == str(person_id):
            return young, "young_person", confirmed
    raise NotFound
