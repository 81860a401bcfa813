"""The portal of a request, as pages outside the areas reach it."""

from typing import TYPE_CHECKING

from fastapi import Request

if TYPE_CHECKING:
    from services.portal.site import Portal


def portal_of(request: Request) -> "Portal":
    """Return what the pages of this site share."""
    portal: Portal = request.app.state.portal
    return portal
