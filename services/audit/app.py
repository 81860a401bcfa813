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
    hears=HEARS,
    allows=allows,
    looked=TrailLooked,
    refused=TrailAccessRefused,
    dropped=TrailEventDropped,
    routes=router,
    schema=Path(__file__).parent / "schema",
    project=project,
    hears_all=True,
)
