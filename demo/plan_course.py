"""What will happen after an organisation has said yes: meeting, terms, updates, evaluations, the end."""

from random import Random
from typing import Final

from msgspec import Struct

from demo.dice import happens, one_of

_DIMENSIONS: Final = ("mental_wellbeing", "social_skills", "coping_skills", "self_perception")
_LOWEST: Final = 1.0
_HIGHEST: Final = 5.0
_ON: Final = {
    "continue": ("it_works", "needs_time"),
    "adjust": ("works_in_part", "needs_changed", "goals_changed"),
    "stop": ("no_effect", "other_measure_needed"),
    "complete": ("goals_reached", "period_over"),
}


class Update(Struct, frozen=True):
    """One progress update: how many days after its day it comes, or never."""

    late: int | None
    trend: str


class Held(Struct, frozen=True):
    """One evaluation: who speaks, after how many days, and what is decided; never where it is missed."""

    child: str
    family: str
    organisation: str
    both_parents: bool
    voices_after: int
    conclude_after: int | None
    decision: str
    reason: str
    attained: str


class Course(Struct, frozen=True):
    """One collaboration; `ends` says who ends it before its time, `ends_after` on which day of it."""

    meeting_after: int | None
    organisation_minutes: bool
    propose_after: int
    organisation_signs: int
    family_signs: int | None
    young_person_signs: int
    length: int
    update_every: int
    evaluate_every: int
    goals: int
    cost: str
    payer: str
    first_measured: int | None
    first: dict[str, float]
    last_measured: int | None
    last: dict[str, float]
    afterwards: bool
    updates: tuple[Update, ...]
    evaluations: tuple[Held, ...]
    ends: str
    ends_after: int


def throw_course(thrown: Random) -> Course:
    """Return how a collaboration goes."""
    first = {dimension: round(thrown.uniform(1.5, 4.0), 1) for dimension in _DIMENSIONS}
    cost, payer = thrown.choice(
        (("free", "nobody"), ("free", "nobody"), ("subsidised", "municipality"), ("paid", "shared"))
    )
    return Course(
        meeting_after=one_of(thrown, (2, 4, 8, 13, None), (30, 35, 20, 11, 4)),
        organisation_minutes=happens(thrown, 0.2),
        propose_after=thrown.choice((0, 1, 2, 4)),
        organisation_signs=thrown.choice((1, 1, 2, 3)),
        family_signs=one_of(thrown, (1, 2, 4, None), (40, 35, 21, 4)),
        young_person_signs=thrown.choice((1, 2, 3)),
        length=thrown.randint(50, 210),
        update_every=one_of(thrown, (30, 45), (70, 30)),
        evaluate_every=one_of(thrown, (60, 90), (40, 60)),
        goals=thrown.randint(1, 3),
        cost=cost,
        payer=payer,
        first_measured=one_of(thrown, (1, 4, 9, None), (40, 35, 19, 6)),
        first=_answered(thrown, first),
        last_measured=one_of(thrown, (1, 4, 9, None), (45, 30, 12, 13)),
        last=_answered(thrown, _moved(thrown, first)),
        afterwards=happens(thrown, 0.5),
        updates=tuple(_update(thrown) for _ in range(13)),
        evaluations=tuple(_held(thrown) for _ in range(8)),
        ends=one_of(thrown, ("", "consent", "family", "organisation", "recalled"), (80, 6, 6, 5, 3)),
        ends_after=thrown.randint(10, 100),
    )


def _moved(thrown: Random, first: dict[str, float]) -> dict[str, float]:
    return {
        dimension: round(min(_HIGHEST, max(_LOWEST, score + thrown.gauss(0.6, 0.7))), 1)
        for dimension, score in first.items()
    }


def _answered(thrown: Random, scores: dict[str, float]) -> dict[str, float]:
    """Leave out what was not answered; one answer there always is."""
    kept = {name: score for name, score in scores.items() if happens(thrown, 0.92)}
    return kept or dict(list(scores.items())[:1])


def _update(thrown: Random) -> Update:
    return Update(
        late=one_of(thrown, (-5, -3, 0, 4, 8, None), (30, 30, 18, 7, 5, 10)),
        trend=one_of(thrown, ("forward", "steady", "back"), (60, 30, 10)),
    )


def _held(thrown: Random) -> Held:
    decision = one_of(thrown, ("continue", "adjust", "complete", "stop"), (54, 13, 23, 10))
    return Held(
        child=one_of(thrown, ("heard", "declined"), (80, 20)),
        family=one_of(thrown, ("heard", "declined"), (94, 6)),
        organisation=one_of(thrown, ("heard", "declined"), (98, 2)),
        both_parents=happens(thrown, 0.3),
        voices_after=thrown.choice((0, 1, 3)),
        conclude_after=one_of(thrown, (1, 2, 5, None), (45, 30, 15, 10)),
        decision=decision,
        reason=thrown.choice(_ON[decision]),
        attained=one_of(thrown, ("reached", "partly", "not_reached"), (45, 40, 15)),
    )
