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
    subscribes_to=HEARS,
    authorize=allows,
    access_event=ContactLooked,
    denied_event=NotifyAccessRefused,
    discarded_event=NotifyEventDropped,
    routes=router,
    schema=Path(__file__).parent / "schema",
    reads_private_for=frozenset({RecordContact}),
    projection=project,
    effect_handlers={"mail": mail},
)
