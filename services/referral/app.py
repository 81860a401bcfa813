"""Referral service: brings a case to an organisation, from the first view to the answer, and back."""

from pathlib import Path
from typing import Final

from contracts.directory import ACCESS_EVENTS
from contracts.referral import CaseAccessRefused, CaseEventDropped, CaseLooked
from services.kernel.decider.service import Service
from services.referral.api import router
from services.referral.domain.access import authorize
from services.referral.domain.commands import AssessEligibility, DraftReferral
from services.referral.domain.lifecycle import decide, related_streams
from services.referral.domain.states import State
from services.referral.operations import OPERATIONS
from services.referral.projections.tables import project, rebuild
from services.referral.subscriptions import SUBSCRIPTIONS

SERVICE: Final = Service(
    name="referral",
    state=State,
    decide=decide,
    subscribes_to=SUBSCRIPTIONS,
    authorize=authorize,
    access_event=CaseLooked,
    denied_event=CaseAccessRefused,
    discarded_event=CaseEventDropped,
    access_events=ACCESS_EVENTS,
    routes=router,
    operations=OPERATIONS,
    schema=Path(__file__).parent / "schema",
    related_streams=related_streams,
    reads_private_for=frozenset({AssessEligibility, DraftReferral}),
    projection=project,
    rebuild=rebuild,
    tables={"cases": "case_id", "referrals": "case_id"},
)
