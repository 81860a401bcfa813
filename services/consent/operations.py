"""Operations of the consent service: ids for generated clients, and the roles that may call each."""

from collections.abc import Mapping
from typing import Final

from services.kernel.decider.operation import Operation

_ASKED: Final = ("caseworker", "guardian", "young_person")
_COLLEAGUES: Final = ("bridge_builder", "caseworker", "leader")

OPERATIONS: Final[Mapping[str, Operation]] = {
    "record_custody": Operation("recordCustody", ("caseworker",), if_match=True),
    "confirm_custody": Operation("confirmCustody", _COLLEAGUES, if_match=True),
    "read_what_to_confirm": Operation("readWhatToConfirm", _COLLEAGUES),
    "read_case": Operation("readConsents", ("caseworker",)),
    "read_mine": Operation("listMyConsents", ("guardian", "young_person")),
    "read_my_cases": Operation("listMyCases", ("guardian", "young_person")),
    "give": Operation("giveConsent", _ASKED, if_match=True),
    "confirm": Operation("confirmConsent", _COLLEAGUES, if_match=True),
    "reject": Operation("rejectConsent", _COLLEAGUES),
    "refuse": Operation("refuseConsent", _ASKED),
    "withdraw": Operation("withdrawConsent", _ASKED),
    "read_receipt": Operation("readConsentReceipt", _ASKED),
}
