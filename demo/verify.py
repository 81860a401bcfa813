"""Hold the clients' books against every service when the year is over; whatever differs is named."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from demo.casefile import CaseFile, World
from demo.plan import CasePlan
from demo.verify_case import CaseViews, differences, missing_in_trail
from demo.wire import Unexpected

_PAGE: Final = 200
_TRAIL_PAGE: Final = 500
_NAMES: Final = 2000
_SECONDS: Final = 600.0
_LOOKS: Final = 60
_PAUSE: Final = 0.5
_SHOWN: Final = 5


class Check(Struct, frozen=True):
    """One thing that was held against another."""

    name: str
    holds: bool
    said: str


class Findings(Struct):
    """What the checks came to, and what was read for them."""

    checks: list[Check] = []
    outcomes: dict[str, Counter[str]] = {}
    notices: dict[str, int] = {}
    mails: dict[str, int] = {}
    funnel: dict[str, Any] = {}
    agreements: dict[str, Any] = {}
    entries: int = 0

    def record(self, name: str, faults: Sequence[str], said: str) -> None:
        """Add a check; it holds where nothing was found."""
        shown = "; ".join(faults[:_SHOWN]) + (f"; and {len(faults) - _SHOWN} more" if faults[_SHOWN:] else "")
        self.checks.append(Check(name, not faults, shown if faults else said))


async def verify(world: World, files: Sequence[CaseFile]) -> Findings:
    """Check everything that the year must have left behind."""
    findings, ledger = Findings(), world.ledger
    findings.record("every step was answered as it should be", ledger.faults, f"{ledger.commands} commands")
    await _check_sound(world, findings, "nothing is pending, parked or missing after the year")
    opened = [file for file in files if file.book.deeds]
    await _check_cases(world, findings, opened)
    await _check_figures(world, findings)
    await _check_trails(world, findings, opened)
    await _check_leaks(world, findings, [file.plan for file in files])
    await _check_sound(world, findings, "nothing is pending, parked or missing after the checks")
    return findings


async def _check_sound(world: World, findings: Findings, name: str) -> dict[str, Any]:
    """Ask until the last mails are out; what is still not in order then is named."""
    for _ in range(_LOOKS):
        found = await world.wire.read(world.cast.operator, "/development/checks", seconds=_SECONDS)
        if found["consistent"]:
            break
        await asyncio.sleep(_PAUSE)
    faults = [
        f"{service}: {part} {value}"
        for service, check in found["services"].items()
        for part, value in _out_of_order(check)
    ]
    events = sum(check["events"] for check in found["services"].values())
    findings.record(name, faults, f"{events} events in {len(found['services'])} services")
    return dict(found["services"])


def _out_of_order(check: Mapping[str, Any]) -> list[tuple[str, Any]]:
    bad = [
        (part, check[part])
        for part in ("pending", "parked", "effects_waiting", "timers_overdue", "sequences_broken")
    ]
    bad += [(f"behind {source} by", count) for source, count in check["behind"].items()]
    return [(part, value) for part, value in bad if value]


async def _check_cases(world: World, findings: Findings, files: Sequence[CaseFile]) -> None:
    lines = await _lines(world)
    ours = {str(file.case_id) for file in files}
    strangers = [f"{len(lines.keys() - ours)} cases that no person opened"] if lines.keys() - ours else []
    lost = [f"case {file.plan.number} is in no list" for file in files if str(file.case_id) not in lines]
    findings.record("every case is in its department's list", strangers + lost, f"{len(lines)} cases")
    views = await asyncio.gather(*(_views(file, lines.get(str(file.case_id))) for file in files))
    faults = [
        f"case {file.plan.number}: {fault}"
        for file, view in zip(files, views, strict=True)
        if view.line is not None
        for fault in differences(file.book, view)
    ]
    findings.record("each service holds what was acknowledged", faults, f"{4 * len(files)} views compared")
    for view in views:
        for collaboration in view.evaluation["collaborations"]:
            for dimension, change in collaboration["outcomes"].get("end", {}).items():
                findings.outcomes.setdefault(dimension, Counter())[change] += 1


async def _lines(world: World) -> dict[str, Any]:
    """Return every line of the departments' lists, by case."""
    found: dict[str, Any] = {}
    for department in world.cast.departments:
        before = ""
        while True:
            path = f"/referral/cases?limit={_PAGE}{before}"
            page = await world.wire.read(department.caseworkers[0], path)
            found |= {line["case_id"]: line for line in page}
            if len(page) < _PAGE:
                break
            before = f"&before={page[-1]['case_id']}"
    return found


async def _views(file: CaseFile, line: Any) -> CaseViews:
    consent, agreement, evaluation = await asyncio.gather(
        *(file.view(file.caseworker, service) for service in ("consent", "agreement", "evaluation"))
    )
    return CaseViews(line, consent, agreement, evaluation)


async def _check_figures(world: World, findings: Findings) -> None:
    """Compare the trail's numbers with each service's log, and read what it reports."""
    services = await _check_sound(world, findings, "nothing is pending before the trail is counted")
    auditor, leader = world.cast.auditors[0], world.cast.departments[0].leader
    figures = await world.wire.read(auditor, "/audit/figures")
    kept = {source["source"]: source["entries"] for source in figures["sources"]}
    faults = [] if figures["complete"] else ["a stream has a hole in the trail"]
    faults += [
        f"{name}: {kept.get(name, 0)} entries for {check['events']} events"
        for name, check in services.items()
        if kept.get(name, 0) != check["events"]
    ]
    findings.entries = sum(kept.values())
    findings.record("the trail has every event of every service", faults, f"{findings.entries} entries")
    mails = await world.wire.read(auditor, "/notify/figures")
    findings.notices, findings.mails = mails["notices"], mails["mails"]
    stuck = [f"{findings.mails[how]} {how}" for how in ("queued", "failed") if findings.mails.get(how)]
    said = f"about {findings.mails.get('delivered', 0)} delivered"
    findings.record("every mail went out, but for fewer than five", stuck, said)
    findings.funnel = await world.wire.read(leader, "/referral/funnel")
    findings.agreements = await world.wire.read(leader, "/agreement/figures")


async def _check_trails(world: World, findings: Findings, files: Sequence[CaseFile]) -> None:
    trails = await asyncio.gather(*(_trail(world, file) for file in files))
    faults = [
        f"case {file.plan.number}: {fault}"
        for file, entries in zip(files, trails, strict=True)
        for fault in missing_in_trail(file.book, entries)
    ]
    faults += await _missing_refusals(world, files)
    ledger = world.ledger
    said = f"{ledger.commands} commands once, {ledger.reads} reads, {ledger.refused_reads} refused reads"
    findings.record("each command is in the trail once, and each read", faults, said)


async def _missing_refusals(world: World, files: Sequence[CaseFile]) -> list[str]:
    """Return whose refusals the trail does not count as often as they were answered."""
    refused: Counter[tuple[str, UUID]] = sum((file.book.refused for file in files), Counter())
    perhaps: Counter[tuple[str, UUID]] = sum((file.book.perhaps for file in files), Counter())
    faults = []
    for (event, actor), least in refused.items():
        path = f"/audit/search?actor={actor}&type={event}&limit={_TRAIL_PAGE}"
        counted, cursor = 0, ""
        while True:
            page = await world.wire.read(world.cast.auditors[0], path + cursor)
            counted += sum(entry["times"] for entry in page["entries"])
            if page["next"] is None:
                break
            cursor = f"&cursor={page['next']}"
        if not least <= counted <= least + perhaps[event, actor]:
            faults.append(f"audit: {counted} refusals of {event} for one person, not {least}")
    return faults


async def _trail(world: World, file: CaseFile) -> list[Any]:
    auditors = world.cast.auditors
    auditor = auditors[file.plan.number % len(auditors)]
    entries: list[Any] = []
    cursor = ""
    while True:
        path = f"/audit/cases/{file.case_id}?limit={_TRAIL_PAGE}{cursor}"
        answer = await world.wire.read_case(auditor, path)
        if answer.status != 200:  # noqa: PLR2004  HTTP's number
            raise Unexpected(f"{answer.status} {answer.slug} at the trail of a case")
        page = answer.body
        entries += page["entries"]
        if page["next"] is None:
            return entries
        cursor = f"&cursor={page['next']}"


async def _check_leaks(world: World, findings: Findings, plans: Sequence[CasePlan]) -> None:
    names = sorted({name for plan in plans for name in plan.markers})
    faults = []
    for first in range(0, len(names), _NAMES):
        body = {"names": names[first : first + _NAMES]}
        answer = await world.wire.post(world.cast.operator, "/development/leaks", body, seconds=_SECONDS)
        if answer.status != 200:  # noqa: PLR2004  HTTP's number
            faults.append(f"could not be searched: {answer.status} {answer.slug}")
        else:
            faults += [f"{leak['place']} holds word {first + leak['word']}" for leak in answer.body]
    searched = "tables, topics, logs, metrics and mails"
    findings.record("no made-up name lies open anywhere", faults, f"{len(names)} names in {searched}")
