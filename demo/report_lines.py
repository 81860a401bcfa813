"""The report as people read it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from rich.markup import escape

_WORDS: Final = {
    "opened": "cases opened",
    "heard": "child and family heard",
    "eligible": "eligible",
    "awaited": "consent asked for",
    "consented": "consent given by all",
    "sent": "sent to an organisation",
    "accepted": "accepted",
    "met": "start-up meeting held",
    "in_force": "agreement in force",
    "evaluated": "evaluated",
    "ended": "collaboration ended",
    "closed": "cases closed",
}
_CHANGES: Final = ("better", "same", "worse", "missing")
_BAR: Final = 30
_ROUTES: Final = 15
_SLOWEST: Final = 3


def lines_of(report: Mapping[str, Any]) -> list[str]:
    """Return the report's lines, with rich's markup."""
    return [
        *_head(report),
        *_funnel(report),
        *_pace(report),
        *_outcomes(report),
        *_news(report),
        *_times(report),
        *_checks(report),
    ]


def _head(report: Mapping[str, Any]) -> Iterator[str]:
    pace = report["commands"] / max(report["seconds"], 0.1)
    size = f"{report['cases']} children, {report['days']} days, seed {report['seed']}"
    yield f"[bold]A year of Kerteminde[/]: {size}"
    yield (
        f"{report['commands']} commands and {report['requests']} requests in {report['seconds']} s"
        f" ([bold]{pace:.0f} commands/s[/]), then {report['seconds_checking']} s of checks;"
        f" fingerprint of the year: {report['digest']}"
    )
    yield (
        f"{report['twice']} sent twice and done once, {report['stale']} refused on a past version,"
        f" {sum(report['read_again'].values())} read again; {_away(report['away'])}"
    )


def _away(away: Mapping[str, int]) -> str:
    said = ", ".join(f"{count} {why}" for why, count in sorted(away.items()))
    return f"waited and repeated: {said}" if said else "never had to wait for the server"


def _funnel(report: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield "[bold]How far they came[/]"
    most = max(report["funnel"].values(), default=0) or 1
    for stage, count in report["funnel"].items():
        bar = "█" * round(_BAR * count / most)
        yield f"  {_WORDS[stage]:<24}{count:>6}  [cyan]{bar}[/]"


def _pace(report: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield "[bold]Days a step takes[/] (median)"
    for step, days in report["median_days"].items():
        yield f"  {step.replace('_', ' '):<28}{days:>6.1f}"
    answers = report["answers"]
    about = {name: "fewer than 5" if count is None else f"about {count}" for name, count in answers.items()}
    in_time = f"{about['answered_in_time']} of {about['answered']} answers"
    yield f"  answered in time: {in_time}, {about['asked']} asked"
    updates = f"{about['updates_on_time']} of {about['updates']}"
    yield f"  updates on time: {updates}, {about['updates_missed']} never came"


def _outcomes(report: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield "[bold]What became of the children[/] (from start to end, where the end was measured)"
    yield "  " + " " * 20 + "".join(f"{change:>9}" for change in _CHANGES)
    for dimension, counts in report["outcomes"].items():
        yield f"  {dimension:<20}" + "".join(f"{counts.get(change, 0):>9}" for change in _CHANGES)


def _news(report: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    mails = ", ".join(f"{count} {how}" for how, count in sorted(report["mails"].items()))
    yield f"[bold]Notices[/]: about {sum(report['notices'].values())}; mails, to the nearest five: {mails}"
    most = sorted(report["notices"].items(), key=lambda item: -item[1])[:5]
    yield "  most of all: " + ", ".join(f"{count} {kind}" for kind, count in most)


def _times(report: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield "[bold]Where the time goes[/] (milliseconds; of up to 16 requests at once)"
    yield f"  {'route':<64}{'count':>7}{'p50':>8}{'p95':>8}{'total s':>9}"
    for route in report["routes"][:_ROUTES]:
        numbers = f"{route['count']:>7}{route['p50']:>8}{route['p95']:>8}{route['total']:>9}"
        yield f"  {escape(route['route']):<64}{numbers}"
    slowest = sorted(report["routes"], key=lambda route: -route["p95"])[:_SLOWEST]
    yield "  slowest: " + "; ".join(f"{escape(one['route'])} {one['p95']} ms" for one in slowest)


def _checks(report: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield "[bold]What was checked[/]"
    for check in report["checks"]:
        mark = "[green]✓[/]" if check["holds"] else "[red]✗[/]"
        yield f"  {mark} {check['name']}: {escape(check['said'])}"
    failed = sum(not check["holds"] for check in report["checks"])
    yield f"[bold red]{failed} checks do not hold[/]" if failed else "[bold green]All checks hold[/]"


def where_next(url: str, cases: int, seed: int, data: Path | None = None) -> Iterator[str]:
    """Yield the addresses and commands that show a running server; `data` is its folder, where known."""
    yield ""
    yield "[bold]Where to look next[/]"
    for path in ("/ready", "/metrics", "/openapi.json", "/development/clock"):
        yield f"  {url}{path}"
    yield f"  samspil doctor --url {url}"
    if data is not None:
        yield escape(f"  samspil parked list notify --data {data}")
        yield escape(f"  {data}/mail holds the mails, {data}/samspil.log the log")
    yield f"  samspil demo --url {url} --cases {cases} --seed {seed + 1}"
