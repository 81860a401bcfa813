"""Consents of a referral: the persons who are asked, and what each answers on which day."""

from datetime import date, timedelta
from typing import Any, Final
from uuid import UUID, uuid5

from demo.casefile import CaseFile
from demo.days import ONE_DAY
from demo.dice import dice, happens
from demo.ledger import ReferralBook
from demo.plan import YOUNG, Attempt, Said
from demo.story_end import find_out
from demo.wire import Person

MINE: Final = "/consent/mine"
NEWS: Final = "/notify/inbox?unread=true&limit=10"
_SOON: Final = timedelta(days=20)
_SHARE_READING: Final = 0.3
_SHARE_DOUBTED: Final = 0.2


async def record_custody(case: CaseFile) -> None:
    """Say who holds parental responsibility, and how they are reached; the young person is named in time."""
    await case.until(case.days.after(1))
    plan, today = case.plan, case.days.today
    body: dict[str, Any] = {
        "holders": [
            {
                "name": f"{parent.name} {plan.family_name}",
                "residence": parent.residence,
                "language": parent.language,
            }
            for parent in plan.parents
        ],
        "born": plan.born,
    }
    if plan.age_on(today + _SOON) >= YOUNG:
        body |= {"young_person_id": case.child.id, "young_person_name": plan.first_name}
    await case.do(case.caseworker, "custody", "/custody", body)
    case.parents = await _parents(case)
    case.forgets("referral")
    for n, (person, parent) in enumerate(zip(case.parents, plan.parents, strict=True)):
        how = {"language": parent.language, "email": parent.email}
        await case.send(person, f"contact:{n}", "/notify/contacts/mine", how)


async def _parents(case: CaseFile) -> tuple[Person, ...]:
    """Return the parents under the ids that they were given; of a child of age they have none."""
    holders = (await case.view(case.caseworker, "consent"))["custody"]["holders"]
    ids = {holder["name"].partition(" ")[0]: UUID(holder["person_id"]) for holder in holders}
    return tuple(
        Person(ids.get(parent.name) or uuid5(case.case_id, parent.name), "guardian")
        for parent in case.plan.parents
    )


async def consent(case: CaseFile, attempt: Attempt, referral: ReferralBook) -> bool:
    """Let each answer on their day; return whether all have said yes."""
    voices = [(person, attempt.said[at]) for at, person in enumerate(case.parents)]
    if case.is_young:
        voices.append((case.child, attempt.said[-1]))
    speaking = [(person, said) for person, said in voices if said.answer != "silent"]
    for person, said in sorted(speaking, key=lambda voice: voice[1].after):
        day = referral.reached["awaited"] + (said.after + 1) * ONE_DAY
        if not await _speak(case, person, said, day, referral):
            return False
    if len(speaking) < len(voices):
        await find_out(case, referral, {"awaiting_consent"})
        return False
    case.stage("consented", referral)
    return True


async def _speak(case: CaseFile, person: Person, said: Said, day: date, referral: ReferralBook) -> bool:
    """Let one person read what they are asked, and answer; return whether that was a yes."""
    step = f"{referral.number}:{person.role}:{case.parents.index(person) if person in case.parents else 0}"
    reads = happens(dice(case.world.seed, case.plan.number, step, "reads"), _SHARE_READING)
    wants = ((person, MINE), (person, NEWS)) if reads else ((person, MINE),)
    rows, *news = await case.until(day, *wants)
    line = _question_for(rows, referral)
    if line is None:
        return False
    rest = f"/consents/{line['consent_id']}"
    if said.answer == "refuse":
        await case.do(person, f"refuse:{step}", f"{rest}/refuse", {}, fresh=True)
        referral.refused += 1
        return False
    yes = {"language": line["language"], "text_sha256": line["text_sha256"]}
    if said.minuted:
        await _minute(case, step, rest, yes)
    else:
        await case.do(person, f"give:{step}", f"{rest}/give", yes, version=line["version"])
    referral.given += 1
    for inbox in news:
        await case.read_notice(person, f"notice:{step}", inbox)
    return True


async def _minute(case: CaseFile, step: str, rest: str, yes: dict[str, Any]) -> None:
    """Let the caseworker minute a yes, and a colleague confirm it, or first doubt it."""
    receipt = await case.view(case.caseworker, "consent", f"{rest}/receipt")
    yes |= {"text_sha256": receipt["text_sha256"], "evidence_reference": case.text("dokument")}
    forms = ["paper_signed"]
    if happens(dice(case.world.seed, case.plan.number, step, "doubt"), _SHARE_DOUBTED):
        forms.insert(0, "oral_minuted")
    for n, form in enumerate(forms):
        if n:
            body = {"reason": "evidence_not_found"}
            await case.do(case.colleague, f"reject:{step}", f"{rest}/reject", body, fresh=True)
            case.forgets("consent")
        await case.do(case.caseworker, f"minute:{step}:{n}", f"{rest}/give", yes | {"evidence": form})
    waits = await case.view(case.colleague, "consent", "/to-confirm")
    if waits["custody"] is not None:
        await case.do(case.colleague, f"confirm_custody:{step}", "/custody/confirm")
    await case.do(case.colleague, f"confirm:{step}", f"{rest}/confirm", {"told_by": "letter"})


def _question_for(rows: Any, referral: ReferralBook) -> Any:
    return next(
        (
            row
            for row in rows
            if row["referral_id"] == str(referral.referral_id) and row["status"] == "requested"
        ),
        None,
    )
