"""The agreement service."""

from pathlib import Path
from typing import Final

from contracts.agreement import AgreementAccessRefused, AgreementEventDropped, AgreementLooked
from contracts.directory import ACCESS_EVENTS
from services.agreement.api import router
from services.agreement.domain.access import authorize
from services.agreement.domain.lifecycle import decide
from services.agreement.domain.states import Case
from services.agreement.operations import OPERATIONS
from services.agreement.projections import project
from services.agreement.subscriptions import SUBSCRIBES_TO
from services.kernel.decider.service import Service

SERVICE: Final = Service(
    name="agreement",
    state=Case,
    decide=decide,
    subscribes_to=SUBSCRIBES_TO,
    authorize=authorize,
    access_event=AgreementLooked,
    denied_event=AgreementAccessRefused,
    discarded_event=AgreementEventDropped,
    access_events=ACCESS_EVENTS,
    routes=router,
    operations=OPERATIONS,
    schema=Path(__file__).parent / "schema",
    projection=project,
    rebuild=project,
    tables={"agreements": "case_id", "goals": "case_id", "work_items": "case_id"},
)
