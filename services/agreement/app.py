"""The agreement service."""

from pathlib import Path
from typing import Final

from contracts.agreement import AgreementAccessRefused, AgreementEventDropped, AgreementLooked
from services.agreement.api import router
from services.agreement.domain import decide
from services.agreement.domain_access import allows
from services.agreement.domain_states import Case
from services.agreement.intake import HEARS
from services.agreement.store import project
from services.kernel.decider.service import Service

SERVICE: Final = Service(
    name="agreement",
    state=Case,
    decide=decide,
    subscribes_to=HEARS,
    authorize=allows,
    access_event=AgreementLooked,
    denied_event=AgreementAccessRefused,
    discarded_event=AgreementEventDropped,
    routes=router,
    schema=Path(__file__).parent / "schema",
    projection=project,
    rebuild=project,
    tables={"agreements": "case_id", "goals": "case_id", "work": "case_id"},
)
