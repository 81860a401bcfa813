"""The service that keeps who must consent to what, and what they answered."""

from pathlib import Path
from typing import Final

from contracts.consent import ConsentAccessRefused, ConsentEventDropped, ConsentLooked, ConsentTicked
from services.consent.api import router
from services.consent.domain import allows, decide
from services.consent.domain_states import Case
from services.consent.intake import HEARS
from services.consent.store import project
from services.kernel.decider.decision import TimerFired
from services.kernel.decider.service import Service

SERVICE: Final = Service(
    name="consent",
    state=Case,
    decide=decide,
    subscribes_to=HEARS,
    authorize=allows,
    access_event=ConsentLooked,
    denied_event=ConsentAccessRefused,
    discarded_event=ConsentEventDropped,
    routes=router,
    schema=Path(__file__).parent / "schema",
    reads_private_for=frozenset({TimerFired}),
    projection=project,
    rebuild=project,
    tables={"persons": "case_id"},
    watermark_event=ConsentTicked,
)
