"""The audit service as a value."""

from pathlib import Path
from typing import Final

from contracts.audit import TrailAccessRefused, TrailEventDropped, TrailLooked
from services.audit.api import router
from services.audit.domain import Trail, allows, decide
from services.audit.intake import HEARS
from services.audit.store import project
from services.kernel.decider.service import Service

SERVICE: Final = Service(
    name="audit",
    state=Trail,
    decide=decide,
    subscribes_to=HEARS,
    authorize=allows,
    access_event=TrailLooked,
    denied_event=TrailAccessRefused,
    discarded_event=TrailEventDropped,
    routes=router,
    schema=Path(__file__).parent / "schema",
    projection=project,
    subscribes_to_all=True,
)
