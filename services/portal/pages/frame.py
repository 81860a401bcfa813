"""The frame of all pages: the start page, the language, and static files."""

from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from contracts.model_parts import LANGUAGES
from services.kernel.errors import NotFound
from services.portal.addresses import own_path
from services.portal.pages.page import EVERYBODY, Area, Page, require_same_origin
from services.portal.person import LANGUAGE_COOKIE
from services.portal.static_files import static_files
from services.portal.texts import _
from services.portal.theme import stylesheet
from services.portal.visit import NO_STORE, Visit, portal_of
from services.portal.work import work_of

AREA: Final = Area()
router: Final = APIRouter(include_in_schema=False)
_YEAR_SECONDS: Final = 31_536_000
_MOST_FIELDS: Final = 10

START: Final = Page("/", "frame/start.html", _("My work"), EVERYBODY, menu=_("My work"))


@AREA.get(START)
async def start(visit: Visit) -> Response:
    """Show what waits for the person."""
    return visit.render(tiles=await work_of(visit))


@router.get("/static/theme/{tenant}.css")
async def theme(request: Request, tenant: str) -> Response:
    """Return the colours of a municipality; the address changes with them."""
    own = request.app.state.portal.runtime.settings.municipality_colours.get(tenant)
    if own is None:
        raise NotFound
    return Response(
        stylesheet(own), media_type="text/css", headers={"Cache-Control": "public, max-age=604800"}
    )


@router.get("/static/{digest}/{name:path}")
async def static(request: Request, digest: str, name: str) -> Response:
    """Return a static file."""
    return static_files().response(request, digest, name)


@router.post("/language")
async def choose_language(request: Request) -> Response:
    """Keep the language that a person chose, for a year, and show the page again."""
    require_same_origin(request)
    sent = await request.form(max_files=0, max_fields=_MOST_FIELDS)
    language = str(sent.get("language", ""))
    answer = RedirectResponse(own_path(str(sent.get("then", "/"))), 303, NO_STORE)
    if language in LANGUAGES:
        secure = request.url.scheme == "https"
        answer.set_cookie(
            LANGUAGE_COOKIE, language, max_age=_YEAR_SECONDS, httponly=True, samesite="lax", secure=secure
        )
    return answer


@router.get("/help")
async def show_help(request: Request) -> Response:
    """Say what this site is for, and whom to ask."""
    return portal_of(request).open_page(request, "frame/help.html", _HELP)


@router.get("/was")
@router.get("/tilgjengelighet")
async def statement(request: Request) -> Response:
    """Show how accessible the site is, and where to say that something does not work."""
    return portal_of(request).open_page(request, "frame/statement.html", _STATEMENT)


@router.get("/leave")
async def leave(request: Request) -> Response:
    """Show a page that says nothing, for somebody who is looked over the shoulder."""
    return portal_of(request).open_page(request, "frame/leave.html", _LEAVE)


_HELP: Final = _("Help and contact")
_STATEMENT: Final = _("Accessibility statement")
_LEAVE: Final = _("Libraries and opening hours")
