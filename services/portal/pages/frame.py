"""The frame of all pages: the start page, the language, and static files."""

from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from contracts.model_parts import LANGUAGES
from services.portal.addresses import own_path
from services.portal.pages.page import EVERYBODY, Area, Page, require_same_origin
from services.portal.person import LANGUAGE_COOKIE
from services.portal.static_files import static_files
from services.portal.texts import _
from services.portal.visit import NO_STORE, Visit
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
