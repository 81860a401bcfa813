"""What is known of a case, and the value that says what happens next."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from msgspec import Struct

from services.portal.texts import _

YOU: Final = _("You")
COLLEAGUE: Final = _("A colleague in the department")
FAMILY: Final = _("The family")
NOBODY: Final = ""


class NextStep(Struct, frozen=True, kw_only=True):
    """What happens next; `rest` is the page of the case where it is done, with the text of its link.

    `who` is a marked word, or else `names` says who by name.
    """

    text: str
    who: str = YOU
    names: tuple[str, ...] = ()
    by: date | None = None
    rest: str = ""
    link: str = ""


class Known(Struct, frozen=True):
    """What is known of a case: answers of the services, None where there is nothing yet, or `SILENT`."""

    case: Any
    consent: Any = None
    agreements: Any = None
    evaluations: Any = None
    organisations: Mapping[str, str] = {}


def agreement_of(known: Known, referral: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the agreement that a referral has led to, if it is known."""
    found = known.agreements["agreements"] if known.agreements else ()
    return next((one for one in found if one["referral_id"] == referral["referral_id"]), None)


def evaluation_now(known: Known, agreement: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the evaluation of an agreement that is to be held now, if there is one."""
    courses = known.evaluations["collaborations"] if known.evaluations else ()
    held = (
        one
        for course in courses
        if course["agreement_id"] == agreement["agreement_id"]
        for one in course["evaluations"]
    )
    return next((one for one in held if one["status"] in {"due", "missed"}), None)
