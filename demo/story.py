"""A case from the first concern to its closing."""

from typing import Final
from uuid import UUID

from demo.casefile import CaseFile
from demo.dice import dice
from demo.setting import TENANT
from demo.story_agreement import agree
from demo.story_consent import record_custody
from demo.story_course import CourseRun
from demo.story_end import close, measure_after, measure_end, tidy
from demo.story_referral import refer
from demo.wire import Person

_ELSEWHERE: Final = "0450"
_REASONS: Final = {
    "age": "age_outside",
    "residence": "lives_elsewhere",
    "situation": "no_difficult_situation",
    "wish": "contact_not_wished",
    "condition": "no_condition_lacking",
    "judged": "no_help_expected",
    "serious": "serious_concern_present",
}


async def live(case: CaseFile) -> None:
    """Play one case, as its plan says and as far as the server lets it."""
    await case.until(case.plan.arrives)
    await _open(case)
    await _hear_views(case)
    await _assess(case)
    if case.plan.outside:
        await case.until(case.days.after(1))
        await _be_curious(case)
        await _read_reasons(case)
        await close(case, "other_measure_needed")
        return
    await record_custody(case)
    await _be_curious(case)
    run = await _follow(case)
    await tidy(case)
    if run is not None:
        await measure_end(case, run)
    await close(case, "goals_reached" if run else "period_over")
    if run is not None:
        await measure_after(case, run)


async def _follow(case: CaseFile) -> CourseRun | None:
    """Refer the case until an organisation takes it; return the collaboration if there was one."""
    for number, attempt in enumerate(case.plan.attempts):
        how = await refer(case, number, attempt)
        if how == "accepted":
            agreed = await agree(case)
            if agreed is None:
                return None
            run = CourseRun(case, agreed)
            await run.play()
            return run
        if how != "again" or not attempt.again:
            return None
    return None


async def _open(case: CaseFile) -> None:
    plan = case.plan
    body = {
        "first_name": plan.first_name,
        "family_name": plan.family_name,
        "born": plan.born,
        "residence": _ELSEWHERE if plan.outside == "residence" else TENANT,
        "language": case.text("ønsker tolk for"),
        "contact": f"{plan.parents[0].name} {plan.family_name}, {plan.words[0]}",
        "practical": case.text("tåler ikke nødder, siger"),
    }
    done = await case.do(case.caseworker, "open", "", body, fresh=True)
    case.case_id = UUID(done["id"])
    case.child = Person(UUID(done["made"]), "young_person")
    case.world.ledger.cases[case.case_id] = case.book
    case.knows("referral", done["version"])
    case.stage("opened")


async def _hear_views(case: CaseFile) -> None:
    plan = case.plan
    if plan.views_after:
        await case.until(case.days.after(plan.views_after))
    body = {"child": _view(case, plan.child_view, "child"), "family": _view(case, plan.family_view, "family")}
    await case.do(case.caseworker, "views", "/views", body)
    case.stage("heard")


def _view(case: CaseFile, answer: str, who: str) -> dict[str, str]:
    if answer == "heard":
        proposals = case.text("vil gerne spille bold med") if who == "child" else ""
        return {"answer": answer, "view": case.text("fortæller om hverdagen med"), "proposals": proposals}
    return {"answer": answer, "why": case.text("var ikke til at træffe") if answer == "not_heard" else ""}


async def _assess(case: CaseFile) -> None:
    plan = case.plan
    if plan.assess_after:
        await case.until(case.days.after(plan.assess_after))
    body = {
        "theme": plan.theme,
        "measure": plan.measure,
        "conditions": [] if plan.outside == "condition" else ["friends", "leisure"],
        "factors": ["fragile_network"],
        "answers": {
            "situation": plan.outside != "situation",
            "wish": plan.outside != "wish",
            "judged_helpful": plan.outside != "judged",
            "serious_concern": plan.outside == "serious",
        },
        "judgement": case.text("kan have gavn af frivillige, vurderer"),
    }
    await case.do(case.caseworker, "assess", "/eligibility", body)
    case.book.eligible = not plan.outside
    case.stage("not eligible" if plan.outside else "eligible")


async def _read_reasons(case: CaseFile) -> None:
    """Read why a case is not eligible: the reasons must be those of the plan."""
    view = await case.view(case.caseworker, "referral")
    found = view["eligibility"]
    if found["eligible"] or _REASONS[case.plan.outside] not in found["reasons"]:
        case.fault(f"was to be outside by {case.plan.outside}, and is not")
    if bool(found["statutory_channel"]) != (case.plan.outside == "serious"):
        case.fault("is pointed to the statutory channel wrongly")


async def _be_curious(case: CaseFile) -> None:
    """Try reads that must be denied: by an organisation without a referral, and by a leader."""
    if not case.plan.curious:
        return
    outsiders = list(case.world.cast.coordinators.values())
    outsider = dice(case.world.seed, case.plan.number, "outsider").choice(outsiders)
    await case.try_to_read(outsider, "referral")
    await case.try_to_read(case.department.leader, "consent")
