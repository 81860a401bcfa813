"""Operations of the notify service: ids for generated clients, and the roles that may call each."""

from collections.abc import Mapping
from typing import Final

from services.kernel.decider.operation import Operation

_READERS: Final = ("bridge_builder", "caseworker", "coordinator", "guardian", "leader", "young_person")
_REACHED: Final = ("caseworker", "coordinator", "guardian", "leader", "young_person")

OPERATIONS: Final[Mapping[str, Operation]] = {
    "read_inbox": Operation("listNotices", _READERS),
    "read_notice": Operation("markNoticeRead", _READERS),
    "record_my_contact": Operation("recordMyContact", _REACHED, location="/notify/contacts/mine"),
    "see_my_contact": Operation("readMyContact", _REACHED),
    "record_contact_in_case": Operation(
        "recordFamilyContact", ("caseworker",), location="/notify/cases/{case_id}/contacts/{person_id}"
    ),
    "see_contact_in_case": Operation("readFamilyContact", ("caseworker",)),
    "record_contact": Operation(
        "recordContact", ("administrator",), location="/notify/contacts/{recipient_id}"
    ),
    "see_contact": Operation("readContact", ("administrator",)),
    "read_figures": Operation("readNoticeFigures", ("administrator", "auditor", "operator")),
    "read_mails": Operation("readNotifyMails", ("operator",)),
}
