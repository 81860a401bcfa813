"""Operations of the agreement service: ids for generated clients, and the roles that may call each."""

from collections.abc import Mapping
from typing import Final

from services.kernel.decider.operation import Operation

_PARTIES: Final = ("caseworker", "coordinator", "guardian", "young_person")

OPERATIONS: Final[Mapping[str, Operation]] = {
    "read_case": Operation("readAgreements", _PARTIES),
    "hold_meeting": Operation("holdStartMeeting", ("caseworker", "coordinator"), if_match=True),
    "propose": Operation("proposeAgreement", ("caseworker",), if_match=True),
    "sign": Operation("signAgreement", _PARTIES, if_match=True),
    "report_progress": Operation("reportProgress", ("coordinator",), if_match=True),
    "end": Operation("endAgreement", _PARTIES),
    "read_mine": Operation("listAgreementWork", _PARTIES),
    "read_figures": Operation("readAgreementFigures", ("leader",)),
}
