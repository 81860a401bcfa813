"""The directory as a `Service` value: models, organisations and their offers, accounts and their roles."""

from pathlib import Path
from typing import Final

from contracts.directory import DirectoryAccessRefused, DirectoryEventDropped, DirectoryLooked
from services.directory.api import router
from services.directory.domain.access import authorize
from services.directory.domain.commands import RecordDetails, UseInvitation
from services.directory.domain.lifecycle import decide, related_streams
from services.directory.domain.states import State
from services.directory.operations import OPERATIONS
from services.directory.projections import project
from services.directory.subscriptions import SUBSCRIBES_TO
from services.kernel.decider.service import Service

SERVICE: Final = Service(
    name="directory",
    state=State,
    decide=decide,
    subscribes_to=SUBSCRIBES_TO,
    authorize=authorize,
    access_event=DirectoryLooked,
    denied_event=DirectoryAccessRefused,
    discarded_event=DirectoryEventDropped,
    routes=router,
    operations=OPERATIONS,
    schema=Path(__file__).parent / "schema",
    related_streams=related_streams,
    reads_private_for=frozenset({UseInvitation, RecordDetails}),
    projection=project,
    rebuild=project,
    tables={
        "organisations": "organisation_id",
        "offers": "offer_id",
        "accounts": "account_id",
        "memberships": "account_id",
        "invitations": "invitation_id",
        "identities": "identity_id",
        "people": "case_id",
    },
)
