"""The task list of a case: the steps of the collaboration model, each with one of five statuses."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from services.portal.casework import stages
from services.portal.casework.known import Known, agreement_of, evaluation_now
from services.portal.texts import _

NOT_STARTED: Final = "not_started"
IN_PROGRESS: Final = "in_progress"
WAITING: Final = "waiting"
DONE: Final = "done"
NOT_RELEVANT: Final = "not_relevant"


class Task(Struct, frozen=True):
    """One step: its marked text, its status, and the page of the case where it is done, if it can be now."""

    text: str
    status: str
    rest: str | None = None


def tasks_of(known: Known) -> list[Task]:
    """Return the steps of a case in the model's order."""
    return [*_planning(known), *_sharing(known), *_cooperation(known), _ending(known)]


def _planning(known: Known) -> Iterator[Task]:
    case, closed = known.case, known.case["closed"]
    heard, assessed = bool(case["views"]), case["eligibility"]
    yield Task(_("Views of the child and the family"), _status(done=heard, off=closed), "/views")
    yield Task(
        _("Target group and criteria"),
        _status(done=bool(assessed), off=closed),
        "/eligibility" if heard or assessed else None,
    )
    named = bool(known.consent and known.consent["custody"])
    yield Task(
        _("Who holds parental responsibility"),
        _status(done=named, off=_is_off(case)),
        "/custody" if heard else None,
    )


def _sharing(known: Known) -> Iterator[Task]:
    case, referral = known.case, stages.live_referral(known.case)
    status = referral["status"] if referral else ""
    off = _is_off(case)
    may_choose = bool(case["views"]) and not off and bool(case["eligibility"])
    taken = any(one["status"] in stages.TAKEN for one in case["referrals"])
    yield Task(
        _("Offer, public help and aim"),
        _status(done=bool(referral) or taken, off=off),
        "/referral" if case["referrals"] else "/offers" if may_choose else None,
    )
    waits = status == "awaiting_consent"
    beyond = status in {"ready", "sent", "seen"} or taken
    yield Task(
        _("Consent"),
        WAITING if waits else _status(done=beyond, off=off),
        "/consent" if waits or beyond else f"/referral/{referral['referral_id']}/ask" if referral else None,
    )
    asked = status in {"sent", "seen"}
    at = IN_PROGRESS if status == "ready" else WAITING if asked else _status(done=taken, off=off)
    yield Task(
        _("Referral to the organisation"), at, "/referral" if status == "ready" or asked or taken else None
    )


def _cooperation(known: Known) -> Iterator[Task]:
    case, last = known.case, stages.last_referral(known.case)
    agreement = agreement_of(known, last) if last else None
    status = agreement["status"] if agreement else ""
    off = _is_off(case)
    at = f"/agreement/{agreement['agreement_id']}" if agreement else ""
    met = bool(agreement and agreement["held_on"])
    signed = bool(agreement and agreement["in_force_on"])
    yield Task(
        _("Start-up meeting"),
        _status(done=met, off=off),
        "/agreement" if met else f"{at}/meeting" if agreement else None,
    )
    writing = WAITING if status == "proposed" else _status(done=signed, off=off)
    yield Task(
        _("Cooperation agreement"),
        writing,
        f"{at}/proposal" if status == "met" else "/agreement" if met else None,
    )
    ended = status == "ended"
    yield Task(
        _("Follow-up"),
        DONE if signed and ended else IN_PROGRESS if signed else _status(done=False, off=off),
        "/agreement" if signed else None,
    )
    yield Task(
        _("Evaluation"), _evaluation_status(known, agreement, off=off), "/evaluation" if signed else None
    )


def _evaluation_status(known: Known, agreement: Mapping[str, Any] | None, *, off: bool) -> str:
    if agreement and evaluation_now(known, agreement):
        return IN_PROGRESS
    courses = known.evaluations["collaborations"] if known.evaluations else ()
    held = [one for course in courses for one in course["evaluations"] if one["status"] == "concluded"]
    planned = any(one["status"] == "planned" for course in courses for one in course["evaluations"])
    if held and not planned:
        return DONE
    return WAITING if courses and not off else _status(done=False, off=off)


def _ending(known: Known) -> Task:
    case = known.case
    may = not case["closed"] and stages.live_referral(case) is None
    return Task(_("End of the case"), _status(done=case["closed"], off=False), "/close" if may else None)


def _is_off(case: Mapping[str, Any]) -> bool:
    """Return whether the rest of the way is not for this case: it is closed, or outside the target group."""
    found = case["eligibility"]
    return bool(case["closed"] or (found and not found["eligible"]))


def _status(*, done: bool, off: bool) -> str:
    return DONE if done else NOT_RELEVANT if off else NOT_STARTED
