"""The portal as a `Service` value: web pages, sign-in, and a read model of ids, codes and dates."""

from pathlib import Path
from typing import Final

from contracts.directory import ACCESS_EVENTS
from contracts.portal import PortalAccessRefused, PortalEventDropped, PortalLooked
from services.kernel.decider.service import Service
from services.portal.domain.access import authorize
from services.portal.domain.lifecycle import decide
from services.portal.domain.states import State
from services.portal.pages import router
from services.portal.projections import project
from services.portal.site import open_portal
from services.portal.subscriptions import SUBSCRIBES_TO

SERVICE: Final = Service(
    name="portal",
    state=State,
    decide=decide,
    subscribes_to=SUBSCRIBES_TO,
    authorize=authorize,
    access_event=PortalLooked,
    denied_event=PortalAccessRefused,
    discarded_event=PortalEventDropped,
    access_events=ACCESS_EVENTS,
    routes=router,
    schema=Path(__file__).parent / "schema",
    projection=project,
    rebuild=project,
    tables={"lines": "case_id", "timeline": "case_id"},
    site=open_portal,
)
