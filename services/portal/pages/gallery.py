"""The gallery of components, for those who write pages; an embedded installation has it alone."""

from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Request, Response

from services.kernel.errors import NotFound
from services.portal.components import components
from services.portal.texts import _

if TYPE_CHECKING:
    from services.portal.site import Portal

router: Final = APIRouter(include_in_schema=False)
_TITLE: Final = _("Components")


@router.get("/gallery")
async def gallery(request: Request) -> Response:
    """Show every component in every example, in the language of the page."""
    portal: Portal = request.app.state.portal
    if not portal.development:
        raise NotFound
    return portal.open_page(request, "gallery/gallery.html", _TITLE, components=components())
