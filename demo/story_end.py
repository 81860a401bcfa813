"""How things end: found out, taken back, withdrawn, deleted, measured for the last time, closed."""

from datetime import date, timedelta
from typing import Any, Final, Protocol
from uuid import UUID

from demo.casefile import CaseFile
from demo.days import ONE_DAY
from demo.ledger import ReferralBook
from demo.plan_course import Course

INBOX: Final = "/referral/inbox?limit=200"
MEASURES: Final = "/evaluation/mine"
_OPEN: Final = frozenset({"drafted", "awaiting_consent", "ready", "sent", "seen", "accepted", "under_way"})
_ENDED: Final = frozenset({"declined", "expired"})
_STOPPED: Final = frozenset({"recalled", "withdrawn"})
_AFTER: Final = timedelta(days=170)


class Collaboration(Protocol):
    """A collaboration that was in force."""

    agreement_id: UUID
    plan: Course


async def find_out(case: CaseFile, referral: ReferralBook, steps: set[str]) -> str:
    """Read the case every few days until a referral has left some states; return its state."""
    while True:
        view = await case.view(case.caseworker, "referral")
        line = next(one for one in view["referrals"] if one["referral_id"] == str(referral.referral_id))
        if line["status"] not in steps:
            case.stage(line["status"], referral)
            return str(line["status"])
        due = date.fromisoformat(line["due_on"]) if line["due_on"] else case.days.today
        await case.until(max(due + ONE_DAY, case.days.after(4)))


async def recall(case: CaseFile, referral: ReferralBook, reason: str) -> str:
    """Take a referral back; return that it is over."""
    rest = f"/referrals/{referral.referral_id}/recall"
    await case.do(case.caseworker, f"recall:{referral.number}", rest, {"reason": reason}, fresh=True)
    case.forgets("agreement")
    case.stage("recalled", referral)
    return "over"


async def withdraw(case: CaseFile, referral: ReferralBook) -> None:
    """Let the first parent take their consent back."""
    parent = case.parents[0]
    [rows] = await case.until(case.days.after(1), (parent, "/consent/mine"))
    await withdraw_now(case, referral, rows)


async def withdraw_now(case: CaseFile, referral: ReferralBook, rows: Any) -> None:
    """Take a consent back that the parent's list shows as given."""
    for row in rows:
        if row["referral_id"] == str(referral.referral_id) and row["status"] == "given":
            rest = f"/consents/{row['consent_id']}/withdraw"
            await case.do(case.parents[0], f"withdraw:{referral.number}", rest, {}, fresh=True)
            referral.withdrawn = True
            case.stage("withdrawn", referral)


async def tidy(case: CaseFile) -> None:
    """Take back what is still open, and let organisations delete what had reached them."""
    if all(_ENDED & referral.reached.keys() for referral in case.book.referrals):
        return
    await case.until(case.days.after(1))
    view = await case.view(case.caseworker, "referral")
    lines = {line["referral_id"]: line for line in view["referrals"]}
    for referral in case.book.referrals:
        status = lines[str(referral.referral_id)]["status"]
        if status in _OPEN:
            await recall(case, referral, "need_changed")
        if status in _OPEN | _STOPPED and "sent" in referral.reached:
            await _delete_copy(case, referral)


async def _delete_copy(case: CaseFile, referral: ReferralBook) -> None:
    coordinator = case.world.cast.coordinators[referral.organisation_id]
    wait = case.plan.attempts[referral.number].delete_after
    [inbox] = await case.until(case.days.office(wait), (coordinator, INBOX))
    for line in inbox:
        if line["referral_id"] == str(referral.referral_id) and line["status"] in _STOPPED:
            rest = f"/referrals/{referral.referral_id}/confirm-deletion"
            await case.do(coordinator, f"delete:{referral.number}", rest, fresh=True)
            case.stage("deleted", referral)


async def measure_end(case: CaseFile, run: Collaboration) -> None:
    """Take the measurement at the end, if it is in the list and there is time."""
    if run.plan.last_measured is None:
        return
    [rows] = await case.until(case.days.duty(run.plan.last_measured), (case.duty, MEASURES))
    if _listed(rows, run, "measurement_end"):
        await measure(case, run, "end", run.plan.last)


async def measure_after(case: CaseFile, run: Collaboration) -> None:
    """Measure once more half a year later, where the beginning was measured."""
    if not run.plan.afterwards:
        return
    [rows] = await case.until(case.days.today + _AFTER, (case.duty, MEASURES))
    if _listed(rows, run, "measurement_after"):
        await measure(case, run, "after", run.plan.last)


async def measure(case: CaseFile, run: Collaboration, moment: str, scores: dict[str, float]) -> None:
    """Put the child's scores on record."""
    body = {"agreement_id": run.agreement_id, "moment": moment, "scores": scores}
    await case.do(case.caseworker, f"measure:{moment}", "/measurements", body)
    case.stage(f"measured_{moment}", case.book.referrals[-1])


def _listed(rows: Any, run: Collaboration, what: str) -> bool:
    return any(row["agreement_id"] == str(run.agreement_id) and row["what"] == what for row in rows)


async def close(case: CaseFile, reason: str) -> None:
    """Follow the case no longer."""
    if case.plan.close_after is None:
        return
    await case.until(case.days.after(case.plan.close_after))
    await case.do(case.caseworker, "close", "/close", {"reason": reason})
    case.book.closed = True
    case.stage("closed")
