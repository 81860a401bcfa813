"""Offers: the catalogue for those who look for one, and an organisation's own."""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel, Field, model_validator

from services.portal.catalogue import options_of
from services.portal.forms import Choice, Form, Number, Text
from services.portal.pages.page import Area, Page
from services.portal.texts import _
from services.portal.visit import Visit

AREA: Final = Area()
LOOKING: Final = ("caseworker", "bridge_builder", "leader", "administrator")
COORDINATOR: Final = ("coordinator",)
Age = Annotated[int, Field(ge=0, le=120)]

CATALOGUE: Final = Page(
    "/offers",
    "offers/catalogue.html",
    _("Offers"),
    LOOKING,
    calls=("directory.offers", "directory.model"),
    menu=_("Offers"),
)
OWN_OFFERS: Final = Page(
    "/own-offers",
    "offers/own.html",
    _("Our offers"),
    COORDINATOR,
    calls=("directory.offers", "directory.model"),
    commands=("places",),
    menu=_("Our offers"),
    done={
        "places": _("The number of places is corrected."),
        "published": _("The offer is in the catalogue."),
    },
)
PUBLISH: Final = Page(
    "/own-offers/new",
    "offers/publish.html",
    _("Publish an offer"),
    COORDINATOR,
    calls=("directory.model",),
    commands=("publish",),
    parent=OWN_OFFERS,
)


class Places(BaseModel):
    """How many places an offer has now."""

    places: Annotated[int, Field(ge=0, le=10_000)]


class Offer(BaseModel):
    """What an organisation can do, for whom, and for how many."""

    title: Annotated[str, Field(min_length=1, max_length=200)]
    theme: str
    format: str
    age_from: Age
    age_to: Age
    price: str
    places: Annotated[int, Field(ge=0, le=10_000)]

    @model_validator(mode="after")
    def _ages_count_up(self) -> "Offer":
        if self.age_from > self.age_to:
            raise ValueError("age_from comes after age_to")
        return self


PLACES: Final = Form(Places, places=Number(_("Places")))
OFFER: Final = Form(
    Offer,
    title=Text(_("What is the offer called?"), sentences={"missing": _("Write what the offer is called")}),
    theme=Choice(_("What is it about?")),
    format=Choice(_("How does it take place?")),
    age_from=Number(_("From which age?")),
    age_to=Number(_("Until which age?"), _("The last full year, for example 17.")),
    price=Choice(_("What does it cost the family?")),
    places=Number(_("How many places are there?")),
)


@AREA.get(CATALOGUE)
async def catalogue(visit: Visit) -> Response:
    """Show the offers, narrowed by theme and age as the address says."""
    asked = visit.request.query_params
    theme, age = asked.get("theme", ""), asked.get("age", "")
    known = age if age.isascii() and age.isdigit() and len(age) < 4 else ""  # noqa: PLR2004  up to 120
    parts = await visit.parts(
        found=visit.items("directory", "/directory/offers", theme=theme, age=known), model=visit.model()
    )
    return visit.render(**parts, theme=theme, age=known)


@AREA.get(OWN_OFFERS)
async def own_offers(visit: Visit) -> Response:
    """Show the organisation's own offers, each with its places."""
    model = await visit.model()
    return visit.render(found=await _own(visit), model=model, form=visit.form(PLACES))


@AREA.post(OWN_OFFERS, "places")
async def correct_places(visit: Visit) -> Response:
    """Correct how many places an offer has."""
    said = visit.bind(PLACES).value
    offer_id = visit.sent.id("offer_id")
    await visit.command("directory", f"/directory/offers/{offer_id}/capacity", said.model_dump())
    return visit.redirect(OWN_OFFERS, done="places")


@AREA.get(PUBLISH)
async def ask_for_offer(visit: Visit) -> Response:
    """Ask what is offered."""
    model = await visit.model()
    words = {name: options_of(model[of], visit.language) for name, of in _WORDS.items()}
    return visit.render(form=visit.form(OFFER).with_options(**words))


@AREA.post(PUBLISH, "publish")
async def publish(visit: Visit) -> Response:
    """Put an offer into the catalogue."""
    said = visit.bind(OFFER).value
    body: dict[str, Any] = {**said.model_dump(), "areas": [visit.person.tenant]}
    at = f"/directory/organisations/{_organisation(visit)}/offers"
    await visit.command("directory", at, body, version="")
    return visit.redirect(OWN_OFFERS, done="published")


async def _own(visit: Visit) -> list[Any]:
    return await visit.items("directory", "/directory/offers", organisation_id=_organisation(visit))


def _organisation(visit: Visit) -> UUID | None:
    return visit.person.organisation_id


_WORDS: Final = {"theme": "themes", "format": "formats", "price": "prices"}
