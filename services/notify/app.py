"""The notify service as a value."""

from pathlib import Path
from typing import Final

from contracts.notify import ContactLooked, NotifyAccessRefused, NotifyEventDropped
from services.kernel.decider.service import Service
from services.notify.api import router
from services.notify.domain import RecordContact, State, allows, decide
from services.notify.intake import HEARS
from services.notify.steps import mail
from services.notify.store import project

SERVICE: Final = Service(
    name="notify",
    state=State,
    decide=decide,
    hears=HEARS,
    allows=allows,
    looked=ContactLooked,
    refused=NotifyAccessRefused,
    dropped=NotifyEventDropped,
    routes=router,
    schema=Path(__file__).parent / "schema",
    opens=frozenset({RecordContact}),
    project=project,
    perform={"mail": mail},
)
