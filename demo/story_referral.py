"""One referral: an offer is chosen, consent asked for, the organisation asked."""

from typing import Any, Final
from uuid import UUID

from demo.casefile import CaseFile
from demo.dice import dice
from demo.ledger import ReferralBook
from demo.plan import Attempt
from demo.setting import TENANT
from demo.story_answer import answer
from demo.story_consent import consent
from demo.story_end import find_out, recall

READY: Final = "/referral/cases?status=ready&limit=200"
_FACTS: Final = ("goals", "own_view", "language", "contact", "practical")
_HELP: Final = ("caseworker_contact", "family_counselling", "school_support")


async def refer(case: CaseFile, number: int, attempt: Attempt) -> str:
    """Return `accepted`, `again` where another organisation may be asked, or `over`."""
    await case.until(case.days.after(attempt.draft_after))
    offer = await _choose(case, number)
    if offer is None:
        return "over"
    referral = await _draft(case, number, offer)
    if attempt.recalled == "drafted":
        return await recall(case, referral, "need_changed")
    await _ask(case, referral)
    if not await consent(case, attempt, referral):
        return "again"
    if not await _send(case, attempt, referral):
        return "over"
    return await answer(case, attempt, referral)


async def _choose(case: CaseFile, number: int) -> Any:
    """Return an offer that covers the need, of an organisation without an earlier referral."""
    age = case.plan.age_on(case.days.today)
    path = f"/directory/offers?theme={case.plan.theme}&age={age}&area={TENANT}"
    catalogue = case.world.catalogue
    if path not in catalogue:
        catalogue[path] = await case.world.wire.read(case.caseworker, path)
    tried = {book.organisation_id for book in case.book.referrals}
    ours = set(case.world.cast.coordinators) - tried
    found = [offer for offer in catalogue[path] if UUID(offer["organisation_id"]) in ours]
    found.sort(key=lambda offer: str(offer["title"]))
    return dice(case.world.seed, case.plan.number, number, "offer").choice(found) if found else None


async def _draft(case: CaseFile, number: int, offer: Any) -> ReferralBook:
    thrown = dice(case.world.seed, case.plan.number, number, "draft")
    body = {
        "organisation_id": offer["organisation_id"],
        "offer_id": offer["offer_id"],
        "purposes": ["networks", "good_childhood"][: thrown.randint(1, 2)],
        "public_help": [{"kind": thrown.choice(_HELP), "department_id": case.department.id}],
        "need": case.text("har brug for en voksen ven til"),
        "aim": case.text("skal have flere venner omkring"),
    }
    done = await case.do(case.caseworker, f"draft:{number}", "/referrals", body)
    referral = ReferralBook(
        UUID(done["made"]), number, UUID(offer["organisation_id"]), UUID(offer["offer_id"])
    )
    case.book.referrals.append(referral)
    case.stage("drafted", referral)
    return referral


async def _ask(case: CaseFile, referral: ReferralBook) -> None:
    """Ask all who must consent, for what is always shared and some more."""
    facts = dice(case.world.seed, case.plan.number, referral.number, "facts").sample(_FACTS, 3)
    rest = f"/referrals/{referral.referral_id}/await-consent"
    await case.do(case.caseworker, f"await:{referral.number}", rest, {"facts": facts})
    case.stage("awaited", referral)


async def _send(case: CaseFile, attempt: Attempt, referral: ReferralBook) -> bool:
    """Send the referral once the department's list shows it as ready; return whether it was sent."""
    [rows] = await case.until(case.days.duty(attempt.send_after), (case.duty, READY))
    line = next((row for row in rows if row["case_id"] == str(case.case_id)), None)
    if line is None and await find_out(case, referral, {"awaiting_consent"}) != "ready":
        return False
    if attempt.recalled == "ready":
        await recall(case, referral, "family_moved")
        return False
    rest = f"/referrals/{referral.referral_id}/send"
    await case.do(case.caseworker, f"send:{referral.number}", rest, version=line["version"] if line else None)
    case.stage("sent", referral)
    return True
