"""The portal as a `Service` value: web pages, sign-in, and a read model of ids, codes and dates."""

from pathlib import Path
from typing import Final

from contracts.directory import ACCESS_EVENTS
from contracts.portal import PortalAccessRefused, PortalEventDropped, PortalLooked
from services.kernel.decider.service import Service
from services.portal.domain.access import authorize
from services.portal.domain.lifecycle import decide
from services.portal.domain.states import Case
from services.portal.pages import router
from services.portal.site import open_portal

SERVICE: Final = Service(
    name="portal",
    state=Case,
    decide=decide,
    subscribes_to=(),
    authorize=authorize,
    access_event=PortalLooked,
    denied_event=PortalAccessRefused,
    discarded_event=PortalEventDropped,
    access_events=ACCESS_EVENTS,
    routes=router,
    schema=Path(__file__).parent / "schema",
    site=open_portal,
)
