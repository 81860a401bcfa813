"""The service that brings a case to an organisation: from the first view to the answer, and the way back."""

from pathlib import Path
from typing import Final

from contracts.referral import CaseAccessRefused, CaseEventDropped, CaseLooked
from services.kernel.decider.service import Service
from services.referral.api import router
from services.referral.domain import also, decide
from services.referral.domain_access import allows
from services.referral.domain_commands import AssessEligibility, DraftReferral
from services.referral.domain_states import State
from services.referral.intake import HEARS
from services.referral.store import project, rebuild

SERVICE: Final = Service(
    name="referral",
    state=State,
    decide=decide,
    subscribes_to=HEARS,
    authorize=allows,
    access_event=CaseLooked,
    denied_event=CaseAccessRefused,
    discarded_event=CaseEventDropped,
    routes=router,
    schema=Path(__file__).parent / "schema",
    related_streams=also,
    reads_private_for=frozenset({AssessEligibility, DraftReferral}),
    projection=project,
    rebuild=rebuild,
    tables={"cases": "case_id", "referrals": "case_id"},
)
