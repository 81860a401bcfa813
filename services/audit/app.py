"""The audit service as a `Service` value."""

from pathlib import Path
from typing import Final

from contracts.audit import TrailAccessRefused, TrailEventDropped, TrailLooked
from contracts.directory import ACCESS_EVENTS
from services.audit.api import router
from services.audit.domain.access import authorize
from services.audit.domain.lifecycle import decide
from services.audit.domain.states import Trail
from services.audit.operations import OPERATIONS
from services.audit.projections import project
from services.audit.subscriptions import SUBSCRIBES_TO
from services.kernel.decider.service import Service

SERVICE: Final = Service(
    name="audit",
    state=Trail,
    decide=decide,
    subscribes_to=SUBSCRIBES_TO,
    authorize=authorize,
    access_event=TrailLooked,
    denied_event=TrailAccessRefused,
    discarded_event=TrailEventDropped,
    access_events=ACCESS_EVENTS,
    routes=router,
    operations=OPERATIONS,
    schema=Path(__file__).parent / "schema",
    projection=project,
    subscribes_to_all=True,
)
