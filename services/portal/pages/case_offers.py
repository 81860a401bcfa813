"""Choosing an offer for a case: the catalogue narrowed to the need, and the draft of a referral."""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel, Field

from services.kernel.errors import NotFound
from services.portal.casework.case_file import CASEWORKER, file_of
from services.portal.casework.words import departments, offers_of, same
from services.portal.forms import Choice, Choices, Form, Text
from services.portal.pages.case import CASE
from services.portal.pages.page import Area, Page
from services.portal.texts import _
from services.portal.visit import Visit

AREA: Final = Area()

OFFERS: Final = Page(
    "/cases/{case_id}/offers",
    "case/offers.html",
    _("Choose an offer"),
    CASEWORKER,
    looks=("case",),
    calls=("referral.case", "directory.offers"),
    parent=CASE,
)
DRAFT: Final = Page(
    "/cases/{case_id}/offers/{offer_id}",
    "case/draft.html",
    _("Refer to this offer"),
    CASEWORKER,
    looks=("case",),
    calls=("referral.case", "directory.offers", "directory.departments"),
    commands=("draft",),
    parent=OFFERS,
)

Told = Annotated[str, Field(min_length=1, max_length=4000)]


class Draft(BaseModel):
    """What a referral is for, which public help goes on, and who answers for that."""

    purposes: Annotated[list[str], Field(min_length=1)]
    need: Told
    aim: Told
    public_help: Annotated[list[str], Field(min_length=1)]
    department_id: UUID


DRAFT_FORM: Final = Form(
    Draft,
    need=Text(
        _("What does the child or the family need?"),
        _("The organisation reads this once the family has said yes"),
        lines=4,
    ),
    aim=Text(_("What is the aim?"), _("What should be different in half a year?"), lines=3),
    purposes=Choices(_("Which purposes of the model does it serve?")),
    public_help=Choices(
        _("Which public help goes on?"),
        _("Volunteers never replace the municipality's own help"),
        sentences={"missing": _("Choose the public help that goes on: without it nothing can be referred")},
    ),
    department_id=Choice(_("Which department answers for the public help?")),
)


@AREA.get(OFFERS)
async def choose_offer(visit: Visit, case_id: UUID) -> Response:
    """Show the offers that cover the need, those with free places first."""
    file = await file_of(visit, case_id)
    found, age = file["case"]["eligibility"], file["age"]
    theme = visit.request.query_params.get("theme", "") or (found["theme"] if found else "")
    offers = await offers_of(visit, theme=theme, age=age, area=visit.person.tenant)
    asked = {one["offer_id"]: one["status"] for one in file["case"]["referrals"]}
    offers.sort(key=lambda offer: offer["places"] == 0)
    return visit.render(
        **file,
        offers=offers,
        asked=asked,
        chosen_theme=theme,
        own_theme=found["theme"] if found else "",
    )


@AREA.get(DRAFT)
async def ask_for_draft(visit: Visit, case_id: UUID, offer_id: UUID) -> Response:
    """Ask what is needed, what for, and which public help goes on."""
    file = await file_of(visit, case_id)
    words, offer = file["words"], await _offer(visit, offer_id)
    own = str(visit.person.department_id or "")
    form = visit.form(DRAFT_FORM, department_id=own).with_options(
        purposes=_purposes(words, offer["theme"]),
        public_help=words.options("public_help"),
        department_id=await departments(visit),
    )
    return visit.render(**file, offer=offer, form=form)


@AREA.post(DRAFT, "draft")
async def draft(visit: Visit, case_id: UUID, offer_id: UUID) -> Response:
    """Keep the choice; nothing leaves the municipality with this."""
    said, offer = visit.bind(DRAFT_FORM).value, await _offer(visit, offer_id)
    body = {
        "organisation_id": offer["organisation_id"],
        "offer_id": str(offer_id),
        "purposes": said.purposes,
        "public_help": [
            {"kind": kind, "department_id": str(said.department_id)} for kind in said.public_help
        ],
        "need": said.need,
        "aim": said.aim,
    }
    await visit.command("referral", f"/referral/cases/{case_id}/referrals", body)
    return visit.redirect(CASE, done="drafted", case_id=case_id)


async def _offer(visit: Visit, offer_id: UUID) -> dict[str, Any]:
    """Return an offer of the catalogue of those who take part."""
    for one in await offers_of(visit):
        if same(one["offer_id"], offer_id):
            return dict(one)
    raise NotFound


def _purposes(words: Any, theme: str) -> list[tuple[str, str]]:
    """Return the model's purposes, those that the offer's theme serves first."""
    served = next((one["purposes"] for one in words.model["themes"] if one["code"] == theme), ())
    found: list[tuple[str, str]] = words.options("purposes")
    return sorted(found, key=lambda option: option[0] not in served)
