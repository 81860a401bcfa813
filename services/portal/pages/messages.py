"""Messages: what a person was told, and how they want to be told."""

from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel, Field

from services.portal.addresses import own_path
from services.portal.forms import Choice, Form, Text
from services.portal.pages.page import FAMILY, Area, Page
from services.portal.texts import _
from services.portal.visit import Visit

AREA: Final = Area()
READERS: Final = (*FAMILY, "caseworker", "coordinator", "leader")

MESSAGES: Final = Page(
    "/messages",
    "messages/messages.html",
    _("Messages"),
    READERS,
    calls=("notify.inbox",),
    commands=("read",),
    menu=_("Messages"),
)
SETTINGS: Final = Page(
    "/settings",
    "messages/settings.html",
    _("How we write to you"),
    READERS,
    looks=("contact",),
    calls=("notify.contact",),
    commands=("save",),
    parent=MESSAGES,
    done={"saved": _("Saved. We write to you in this way from now on.")},
)
LANGUAGES: Final = (("da", "Dansk"), ("nb", "Norsk bokmål"), ("en", "English"))


class Settings(BaseModel):
    """How somebody is reached; without an address the messages here are all there is."""

    language: Literal["da", "nb", "en"]
    email: Annotated[str, Field(max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")] | None = None


SETTINGS_FORM: Final = Form(
    Settings,
    language=Choice(_("In which language?"), options=LANGUAGES),
    email=Text(
        _("E-mail address"),
        _("We only write that there is something for you to read here, never what it is about."),
        sentences={"invalid": _("Write an e-mail address, for example name@example.org")},
    ),
)


@AREA.get(MESSAGES)
async def messages(visit: Visit) -> Response:
    """List the messages, the newest first."""
    cursor = visit.request.query_params.get("cursor", "")
    unread = visit.request.query_params.get("unread", "")
    found = await visit.get(
        "notify", "/notify/inbox", cursor=cursor, limit=25, unread="true" if unread else "false"
    )
    items = found.get("items", found.get("notices", []))
    return visit.render(
        found=items, unread=found.get("unread"), next=found.get("next"), only_unread=bool(unread)
    )


@AREA.post(MESSAGES, "read")
async def read(visit: Visit) -> Response:
    """Put on record that a message was read, and lead to what it is about."""
    await visit.command("notify", f"/notify/inbox/{UUID(visit.sent.text('notice_id'))}/read", version="")
    return visit.redirect_to(own_path(visit.sent.text("then")))


@AREA.get(SETTINGS)
async def settings(visit: Visit) -> Response:
    """Show how the person is reached; nothing yet is no fault."""
    known = {} if visit.bound else await visit.get("notify", "/notify/contacts/mine")
    form = visit.form(SETTINGS_FORM, language=known.get("language"), email=known.get("email"))
    return visit.render(form=form)


@AREA.post(SETTINGS, "save")
async def save(visit: Visit) -> Response:
    """Keep how the person is reached."""
    said = visit.bind(SETTINGS_FORM).value
    await visit.command("notify", "/notify/contacts/mine", said.model_dump(exclude_none=True))
    return visit.redirect(SETTINGS, done="saved")
