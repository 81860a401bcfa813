"""What an organisation does with a referral: opens it, takes the case or not, or says nothing."""

from typing import Any, Final

from demo.casefile import CaseFile
from demo.ledger import ReferralBook
from demo.plan import Attempt
from demo.story_end import INBOX, find_out, recall, withdraw

_FULL: Final = "no_places"
_ASKING: Final = frozenset({"sent", "seen"})
_TAKEN: Final = frozenset({"accepted", "under_way"})


async def answer(case: CaseFile, attempt: Attempt, referral: ReferralBook) -> str:
    """Return `accepted`, `again` where another organisation may be asked, or `over`."""
    if attempt.recalled == "sent":
        await case.until(case.days.after(1))
        return await recall(case, referral, "sent_in_error")
    if attempt.withdrawn:
        await withdraw(case, referral)
        return "over"
    coordinator = case.world.cast.coordinators[referral.organisation_id]
    [inbox] = await case.until(case.days.office(attempt.see_after), (coordinator, INBOX))
    if _line(inbox, referral) is None:
        await find_out(case, referral, {"sent"})
        return "over"
    decided = attempt.answer if attempt.answer_after else _decide(case, attempt, referral, inbox)
    rest = f"/referrals/{referral.referral_id}/see"
    await case.do(coordinator, f"see:{referral.number}", rest, fresh=True)
    case.stage("seen", referral)
    await case.view(coordinator, "referral")
    if attempt.answer == "silent":
        await find_out(case, referral, {"sent", "seen"})
        return "again"
    if attempt.answer_after:
        [inbox] = await case.until(case.days.office(attempt.answer_after), (coordinator, INBOX))
        line = _line(inbox, referral)
        if line is None:
            await find_out(case, referral, {"seen"})
            return "over"
        decided = _decide(case, attempt, referral, inbox)
        case.knows("referral", line["version"])
    return await _say(case, attempt, referral, decided)


async def _say(case: CaseFile, attempt: Attempt, referral: ReferralBook, decided: str) -> str:
    coordinator = case.world.cast.coordinators[referral.organisation_id]
    rest = f"/referrals/{referral.referral_id}"
    if decided != "accept":
        reason = attempt.reason if decided == "decline" else _FULL
        step = f"decline:{referral.number}"
        await case.do(coordinator, step, f"{rest}/decline", {"reason": reason}, fresh=True)
        case.stage("declined", referral)
        return "again"
    await case.do(coordinator, f"accept:{referral.number}", f"{rest}/accept")
    case.stage("accepted", referral)
    if attempt.recalled == "accepted":
        await case.until(case.days.after(2))
        return await recall(case, referral, "public_measure_chosen")
    return "accepted"


def _decide(case: CaseFile, attempt: Attempt, referral: ReferralBook, inbox: Any) -> str:
    """Return whether the organisation takes the case: by its list it knows how many places are taken.

    Nothing is waited for here, so that those who wake on the same day decide one after the other.
    """
    if attempt.answer != "accept":
        return attempt.answer
    offer_id, world = referral.offer_id, case.world
    taken = {line["referral_id"] for line in inbox if line["offer_id"] == str(offer_id)} & {
        line["referral_id"] for line in inbox if line["status"] in _TAKEN
    }
    today = world.placed.setdefault((case.days.today, offer_id), set())
    if len(taken) + len(today) >= world.cast.places[offer_id]:
        return _FULL
    today.add(referral.referral_id)
    return "accept"


def _line(inbox: Any, referral: ReferralBook) -> Any:
    """Return the referral's line, if an answer is still waited for."""
    lines = (line for line in inbox if line["referral_id"] == str(referral.referral_id))
    return next((line for line in lines if line["status"] in _ASKING), None)
