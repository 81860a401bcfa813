"""The evaluation service."""

from pathlib import Path
from typing import Final

from contracts.evaluation import EvaluationAccessRefused, EvaluationEventDropped, EvaluationLooked
from services.evaluation.api import router
from services.evaluation.domain import decide
from services.evaluation.domain_access import allows
from services.evaluation.domain_commands import HearVoice, TakeMeasurement
from services.evaluation.domain_states import Case
from services.evaluation.intake import HEARS
from services.evaluation.store import project
from services.kernel.decider.service import Service

SERVICE: Final = Service(
    name="evaluation",
    state=Case,
    decide=decide,
    subscribes_to=HEARS,
    authorize=allows,
    access_event=EvaluationLooked,
    denied_event=EvaluationAccessRefused,
    discarded_event=EvaluationEventDropped,
    routes=router,
    schema=Path(__file__).parent / "schema",
    reads_private_for=frozenset({HearVoice, TakeMeasurement}),
    projection=project,
    rebuild=project,
    tables={"outcomes": "case_id", "work": "case_id"},
)
