"""The service that keeps who must consent to what, and what they answered."""

from pathlib import Path
from typing import Final

from contracts.consent import ConsentAccessRefused, ConsentEventDropped, ConsentLooked, ConsentTicked
from contracts.directory import ACCESS_EVENTS
from services.consent.api import router
from services.consent.domain.access import authorize
from services.consent.domain.lifecycle import decide
from services.consent.domain.states import Case
from services.consent.operations import OPERATIONS
from services.consent.projections import project
from services.consent.subscriptions import SUBSCRIBES_TO
from services.kernel.decider.decision import TimerFired
from services.kernel.decider.service import Service

SERVICE: Final = Service(
    name="consent",
    state=Case,
    decide=decide,
    subscribes_to=SUBSCRIBES_TO,
    authorize=authorize,
    access_event=ConsentLooked,
    denied_event=ConsentAccessRefused,
    discarded_event=ConsentEventDropped,
    access_events=ACCESS_EVENTS,
    routes=router,
    operations=OPERATIONS,
    schema=Path(__file__).parent / "schema",
    reads_private_for=frozenset({TimerFired}),
    projection=project,
    rebuild=project,
    tables={"persons": "case_id"},
    watermark_event=ConsentTicked,
)
