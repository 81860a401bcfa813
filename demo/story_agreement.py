"""The start-up meeting, the terms, and the names of all parties under them."""

from datetime import date, timedelta
from typing import Any, Final
from uuid import UUID

from demo.casefile import CaseFile
from demo.days import ONE_DAY
from demo.ledger import ReferralBook
from demo.story_end import find_out
from demo.wire import Person

WORK: Final = "/agreement/mine"
_BEFORE_THE_START: Final = timedelta(days=4)
_GIVEN_UP: Final = 12


async def agree(case: CaseFile) -> Any:
    """Meet, propose and sign; return the agreement as it came into force, if it did."""
    referral, course = case.book.referrals[-1], case.plan.course
    if course.meeting_after is None:
        await find_out(case, referral, {"accepted"})
        return None
    [rows] = await case.until(case.days.duty(course.meeting_after), (case.duty, WORK))
    row = waiting(rows, case, "meeting")
    if row is None:
        await find_out(case, referral, {"accepted"})
        return None
    referral.agreement_id = UUID(row["agreement_id"])
    await _meet(case, referral)
    if course.propose_after:
        await case.until(case.days.after(course.propose_after))
    await propose(case, referral.agreement_id, 1)
    case.stage("proposed", referral)
    if not await _sign(case, referral, referral.agreement_id):
        return None
    agreement = agreement_in(await case.view(case.caseworker, "agreement"), referral.agreement_id)
    if agreement["status"] != "in_force":
        return None
    case.stage("in_force", referral)
    return agreement


async def _meet(case: CaseFile, referral: ReferralBook) -> None:
    coordinator = case.world.cast.coordinators[referral.organisation_id]
    minutes = coordinator if case.plan.course.organisation_minutes else case.caseworker
    await case.view(minutes, "agreement")
    body = {
        "agreement_id": referral.agreement_id,
        "held_on": case.days.today,
        "attended": ["child", "family", "caseworker", "organisation"],
    }
    await case.do(minutes, "meet", "/meeting", body)
    case.stage("met", referral)


async def propose(case: CaseFile, agreement_id: UUID, version: int) -> None:
    """Lay a version ready, and sign it for the municipality."""
    course, start = case.plan.course, case.days.today + _BEFORE_THE_START
    body = {
        "agreement_id": agreement_id,
        "goals": [_goal(case, n) for n in range(course.goals)],
        "wants": {
            "municipality": case.text("vil støtte"),
            "organisation": case.text("har en frivillig til"),
            "family": case.text("glæder sig til at møde nogen sammen med"),
        },
        "starts_on": start,
        "ends_on": start + timedelta(days=course.length),
        "cost": course.cost,
        "payer": course.payer,
        "cost_text": case.text("deler udgiften til bussen for") if course.payer == "shared" else "",
        "update_every_days": course.update_every,
        "evaluate_every_days": course.evaluate_every,
    }
    await case.do(case.caseworker, f"propose:{version}", "/proposal", body)
    await sign(case, case.caseworker, agreement_id, version, "municipality")


def _goal(case: CaseFile, number: int) -> dict[str, Any]:
    responsible = ("organisation", "municipality", "family")[number]
    action = {"text": case.text("henter og følger"), "responsible": responsible}
    return {
        "purpose": ("networks", "good_childhood", "ties")[number],
        "responsible": responsible,
        "text": case.text("får en aktivitet om ugen med"),
        "actions": [action],
    }


async def sign(case: CaseFile, who: Person, agreement_id: UUID, version: int, party: str) -> None:
    """Put one party's name under a version."""
    body = {"agreement_id": agreement_id, "version": version, "party": party}
    await case.do(who, f"sign:{version}:{party}", "/sign", body)


async def _sign(case: CaseFile, referral: ReferralBook, agreement_id: UUID) -> bool:
    """Let the others sign, each on their day; return whether all have."""
    for day, who, party in signers(case, referral):
        if not await _sign_on(case, agreement_id, day, who, party):
            return False
    if case.plan.course.family_signs is None:
        await case.until(case.days.after(_GIVEN_UP))
        await end(case, case.caseworker, agreement_id, "family_stopped")
        return False
    return True


def signers(case: CaseFile, referral: ReferralBook) -> list[tuple[date, Person, str]]:
    """Return who signs on which day, besides the municipality."""
    course, days = case.plan.course, case.days
    coordinator = case.world.cast.coordinators[referral.organisation_id]
    found = [(days.office(course.organisation_signs), coordinator, "organisation")]
    if course.family_signs is not None:
        found.append((days.after(course.family_signs), case.parents[0], "family"))
    if case.is_of_age:
        found = [(day, case.child if party == "family" else who, party) for day, who, party in found]
    elif case.is_young:
        found.append((days.after(course.young_person_signs), case.child, "young_person"))
    return sorted(found, key=lambda signer: (signer[0], signer[2]))


def party_of(case: CaseFile, party: str) -> str:
    """Return the party for which a person signs now: a child that has come of age is the family."""
    return "family" if party == "young_person" and case.is_of_age else party


async def _sign_on(case: CaseFile, agreement_id: UUID, day: date, who: Person, party: str) -> bool:
    """Read the first version and sign it, if it is in the person's list; return whether it did."""
    [rows] = await case.until(max(day, case.days.today + ONE_DAY), (who, WORK))
    if waiting(rows, case, "signature") is None:
        return False
    await case.view(who, "agreement")
    await sign(case, who, agreement_id, 1, party_of(case, party))
    return True


async def end(case: CaseFile, who: Person, agreement_id: UUID, reason: str) -> None:
    """End the collaboration before its time."""
    await case.do(who, "end", "/end", {"agreement_id": agreement_id, "reason": reason}, fresh=True)
    case.stage("ended", case.book.referrals[-1])


def waiting(rows: Any, case: CaseFile, what: str) -> Any:
    """Return the row of a work list that needs a step in this case."""
    return next((row for row in rows if row["case_id"] == str(case.case_id) and row["what"] == what), None)


def agreement_in(view: Any, agreement_id: UUID) -> Any:
    """Return one agreement of a case that was read."""
    return next(one for one in view["agreements"] if one["agreement_id"] == str(agreement_id))
