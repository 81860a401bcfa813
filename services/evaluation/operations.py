"""Operations of the evaluation service: ids for generated clients, and the roles that may call each."""

from collections.abc import Mapping
from typing import Final

from services.kernel.decider.operation import Operation

_PARTIES: Final = ("caseworker", "coordinator", "guardian", "young_person")

OPERATIONS: Final[Mapping[str, Operation]] = {
    "read_case": Operation("readEvaluations", _PARTIES),
    "take_measurement": Operation("takeMeasurement", ("caseworker",), if_match=True),
    "hear_voice": Operation("hearVoice", _PARTIES),
    "conclude": Operation("concludeEvaluation", ("caseworker",), if_match=True),
    "read_mine": Operation("listEvaluationWork", _PARTIES),
    "read_outcomes": Operation("readOutcomes", ("leader",)),
}
