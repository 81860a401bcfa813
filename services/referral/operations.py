"""Operations of the referral service: ids for generated clients, and the roles that may call each."""

from collections.abc import Mapping
from typing import Final

from services.kernel.decider.operation import Operation

_PARTIES: Final = ("caseworker", "coordinator", "guardian", "young_person")

OPERATIONS: Final[Mapping[str, Operation]] = {
    "open_case": Operation("openCase", ("caseworker",), location="/referral/cases/{id}"),
    "list_cases": Operation("listCases", ("caseworker",)),
    "read_names": Operation("readChildNames", ("caseworker",)),
    "search_by_name": Operation("searchCases", ("caseworker",)),
    "read_case": Operation("readCase", _PARTIES),
    "note_views": Operation("noteViews", ("caseworker",), if_match=True),
    "assess": Operation("assessEligibility", ("caseworker",), if_match=True),
    "draft": Operation("draftReferral", ("caseworker",), if_match=True, location="/referral/cases/{id}"),
    "await_consent": Operation("awaitConsent", ("caseworker",), if_match=True),
    "send": Operation("sendReferral", ("caseworker",), if_match=True),
    "see": Operation("seeReferral", ("coordinator",)),
    "accept": Operation("acceptReferral", ("coordinator",), if_match=True),
    "decline": Operation("declineReferral", ("coordinator",)),
    "recall": Operation("recallReferral", ("caseworker",)),
    "confirm_deletion": Operation("confirmDeletion", ("coordinator",)),
    "close": Operation("closeCase", ("caseworker",), if_match=True),
    "read_inbox": Operation("listInbox", ("coordinator",)),
    "read_funnel": Operation("readFunnel", ("caseworker", "leader")),
}
