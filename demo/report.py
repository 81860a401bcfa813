"""The report of a year: what became of the cases, how long it took, what holds, where the time went."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, Final

import msgspec
from msgspec import Struct

from demo.casefile import World
from demo.report_lines import lines_of
from demo.verify import Check, Findings

_FUNNEL: Final = (
    "opened", "heard", "eligible", "awaited", "consented", "sent", "accepted", "met", "in_force", "evaluated",
    "ended", "closed",
)  # fmt: skip
_STEPS: Final = (
    ("opened", "eligible"), ("eligible", "drafted"), ("awaited", "consented"), ("consented", "sent"),
    ("sent", "seen"), ("sent", "accepted"), ("sent", "declined"), ("accepted", "met"), ("met", "proposed"),
    ("proposed", "in_force"), ("in_force", "evaluated"), ("in_force", "ended"), ("ended", "closed"),
)  # fmt: skip


class Route(Struct, frozen=True):
    """How long one route took: milliseconds, and seconds in all."""

    route: str
    count: int
    p50: float
    p95: float
    total: float


class Report(Struct, frozen=True):
    """What a year came to; `funnel` counts cases, `days` are virtual, `seconds` are real."""

    url: str
    seed: int
    digest: str
    cases: int
    days: int
    seconds: float
    seconds_checking: float
    commands: int
    requests: int
    away: dict[str, int]
    twice: int
    stale: int
    read_again: dict[str, int]
    reads: int
    refused_reads: int
    funnel: dict[str, int]
    median_days: dict[str, float]
    answers: dict[str, Any]
    outcomes: dict[str, dict[str, int]]
    notices: dict[str, int]
    mails: dict[str, int]
    routes: tuple[Route, ...]
    checks: tuple[Check, ...]

    @property
    def holds(self) -> bool:
        """Return whether every check holds."""
        return all(check.holds for check in self.checks)

    def as_dict(self) -> dict[str, Any]:
        """Return the report for programs."""
        return {"holds": self.holds, **msgspec.to_builtins(self)}

    def lines(self) -> list[str]:
        """Return the report for people, with markup."""
        return lines_of(self.as_dict())


def draw_up(world: World, findings: Findings, days: int, seconds: tuple[float, float]) -> Report:
    """Return the report of a year that took `seconds` to play and to check."""
    wire, ledger = world.wire, world.ledger
    return Report(
        url=wire.url,
        seed=world.seed,
        digest=ledger.digest(),
        cases=len(ledger.books),
        days=days,
        seconds=round(seconds[0], 1),
        seconds_checking=round(seconds[1], 1),
        commands=ledger.commands,
        requests=wire.answered,
        away=dict(wire.away),
        twice=ledger.twice,
        stale=ledger.stale,
        read_again=dict(ledger.read_again),
        reads=ledger.reads,
        refused_reads=ledger.refused_reads,
        funnel={stage: sum(stage in book.reached for book in ledger.books) for stage in _FUNNEL},
        median_days=_medians(world),
        answers={name: findings.funnel[name] for name in ("asked", "answered", "answered_in_time")}
        | {name: findings.agreements[name] for name in ("updates", "updates_on_time", "updates_missed")},
        outcomes={name: dict(counts) for name, counts in sorted(findings.outcomes.items())},
        notices=findings.notices,
        mails=findings.mails,
        routes=_routes(wire.seconds),
        checks=tuple(findings.checks),
    )


def _medians(world: World) -> dict[str, float]:
    """Return the median days between two steps, of the cases or the referrals that took both."""
    found = {}
    for since, until in _STEPS:
        books = world.ledger.books
        took = [
            (reached[until] - reached[since]).days
            for reached in (
                [book.reached for book in books]
                if since in {"opened", "eligible", "ended"}
                else [referral.reached for book in books for referral in book.referrals]
            )
            if since in reached and until in reached
        ]
        if took:
            found[f"{since} to {until}"] = float(median(took))
    return found


def _routes(seconds: Mapping[str, Sequence[float]]) -> tuple[Route, ...]:
    """Return the routes, those first that took most of the time."""
    routes = []
    for route, took in seconds.items():
        ordered = sorted(took)
        routes.append(
            Route(
                route=route,
                count=len(ordered),
                p50=round(1000 * ordered[len(ordered) // 2], 1),
                p95=round(1000 * ordered[int(len(ordered) * 0.95)], 1),
                total=round(sum(ordered), 2),
            )
        )
    return tuple(sorted(routes, key=lambda one: -one.total))
