"""The service that knows which model is followed, who takes part, and what is offered."""

from pathlib import Path
from typing import Final

from contracts.directory import DirectoryAccessRefused
from contracts.event import Looked
from services.directory.api import router
from services.directory.domain import allows, also, decide
from services.directory.domain_states import State
from services.directory.store import project
from services.kernel.decider.service import Service

SERVICE: Final = Service(
    name="directory",
    state=State,
    decide=decide,
    subscribes_to=(),
    authorize=allows,
    access_event=Looked,  # nothing here is about a person, so that there are no looks to note
    denied_event=DirectoryAccessRefused,
    routes=router,
    schema=Path(__file__).parent / "schema",
    related_streams=also,
    projection=project,
    rebuild=project,
    tables={"organisations": "organisation_id", "offers": "offer_id"},
)
