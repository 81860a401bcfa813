"""The notify service as a `Service` value."""

from pathlib import Path
from typing import Final

from contracts.directory import ACCESS_EVENTS
from contracts.notify import ContactLooked, NotifyAccessRefused, NotifyEventDropped
from services.kernel.decider.service import Service
from services.notify.api import router
from services.notify.domain.access import authorize, related_streams
from services.notify.domain.commands import RecordContact
from services.notify.domain.lifecycle import decide
from services.notify.domain.states import State
from services.notify.effects import mail
from services.notify.operations import OPERATIONS
from services.notify.projections import project
from services.notify.subscriptions import SUBSCRIBES_TO

SERVICE: Final = Service(
    name="notify",
    state=State,
    decide=decide,
    subscribes_to=SUBSCRIBES_TO,
    authorize=authorize,
    access_event=ContactLooked,
    denied_event=NotifyAccessRefused,
    discarded_event=NotifyEventDropped,
    access_events=ACCESS_EVENTS,
    routes=router,
    operations=OPERATIONS,
    schema=Path(__file__).parent / "schema",
    related_streams=related_streams,
    reads_private_for=frozenset({RecordContact}),
    projection=project,
    effect_handlers={"mail": mail},
)
