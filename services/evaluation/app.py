"""The evaluation service."""

from pathlib import Path
from typing import Final

from contracts.directory import ACCESS_EVENTS
from contracts.evaluation import EvaluationAccessRefused, EvaluationEventDropped, EvaluationLooked
from services.evaluation.api import router
from services.evaluation.domain.access import authorize
from services.evaluation.domain.commands import HearVoice, TakeMeasurement
from services.evaluation.domain.lifecycle import decide
from services.evaluation.domain.states import Case
from services.evaluation.operations import OPERATIONS
from services.evaluation.projections import project
from services.evaluation.subscriptions import SUBSCRIBES_TO
from services.kernel.decider.service import Service

SERVICE: Final = Service(
    name="evaluation",
    state=Case,
    decide=decide,
    subscribes_to=SUBSCRIBES_TO,
    authorize=authorize,
    access_event=EvaluationLooked,
    denied_event=EvaluationAccessRefused,
    discarded_event=EvaluationEventDropped,
    access_events=ACCESS_EVENTS,
    routes=router,
    operations=OPERATIONS,
    schema=Path(__file__).parent / "schema",
    reads_private_for=frozenset({HearVoice, TakeMeasurement}),
    projection=project,
    rebuild=project,
    tables={"outcomes": "case_id", "work_items": "case_id"},
)
