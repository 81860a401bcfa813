"""The directory as a `Service` value: adopted models, organisations that take part, and their offers."""

from pathlib import Path
from typing import Final

from contracts.directory import DirectoryAccessRefused, DirectoryLooked
from services.directory.api import router
from services.directory.domain.access import authorize
from services.directory.domain.lifecycle import decide, related_streams
from services.directory.domain.states import State
from services.directory.projections import project
from services.kernel.decider.service import Service

SERVICE: Final = Service(
    name="directory",
    state=State,
    decide=decide,
    subscribes_to=(),
    authorize=authorize,
    access_event=DirectoryLooked,
    denied_event=DirectoryAccessRefused,
    routes=router,
    schema=Path(__file__).parent / "schema",
    related_streams=related_streams,
    projection=project,
    rebuild=project,
    tables={"organisations": "organisation_id", "offers": "offer_id"},
)
