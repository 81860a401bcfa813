"""Plan of the year: what happens to whom, drawn from the seed before the first request."""

from datetime import date, timedelta
from random import Random
from typing import Final

from msgspec import Struct

from demo.dice import dice, happens, one_of
from demo.names import address, made_up
from demo.plan_course import Course, throw_course

DAYS: Final = 365
YOUNG: Final = 15
OF_AGE: Final = 18
_DAYS_A_YEAR: Final = 365.25
_LAST_ARRIVAL: Final = 330
_MOST_ASKED: Final = 3
_OUTSIDE: Final = ("age", "residence", "situation", "wish", "condition", "judged", "serious")
_DECLINES: Final = (
    "no_fitting_volunteer", "need_outside_offer", "too_far_away", "family_not_reached", "unclear_referral",
)  # fmt: skip
_THEMES: Final = {
    "leisure": ("leisure_activity",),
    "mentor": ("mentor",),
    "family_guidance": ("conversation",),
    "social_network": ("leisure_activity", "mentor"),
}


class Parent(Struct, frozen=True):
    """A holder of parental responsibility; without an address they read their inbox alone."""

    name: str
    language: str
    email: str | None
    residence: bool


class Said(Struct, frozen=True):
    """What one person says when asked for consent, after how many days; a caseworker may minute it."""

    answer: str
    after: int
    minuted: bool


class Attempt(Struct, frozen=True):
    """One referral: what the family, the caseworker and the organisation make of it, after how many days.

    `said` is what each parent says, and last what the young person says, where they are asked. `recalled`
    names the step from which it is taken back. `again` says whether another one follows.
    """

    draft_after: int
    said: tuple[Said, ...]
    send_after: int
    recalled: str
    see_after: int
    answer: str
    answer_after: int
    reason: str
    withdrawn: bool
    delete_after: int
    again: bool


class CasePlan(Struct, frozen=True):
    """One child's year; `outside` names the criterion that is not met, `words` mark every text."""

    number: int
    arrives: date
    first_name: str
    family_name: str
    born: date
    words: tuple[str, str]
    parents: tuple[Parent, ...]
    department: int
    caseworker: int
    views_after: int
    child_view: str
    family_view: str
    assess_after: int
    outside: str
    theme: str
    measure: str
    attempts: tuple[Attempt, ...]
    course: Course
    close_after: int | None
    curious: bool

    @property
    def markers(self) -> tuple[str, ...]:
        """Every word that must be found nowhere outside sealed columns."""
        return (self.first_name, self.family_name, *self.words, *(parent.name for parent in self.parents))

    def age_on(self, day: date) -> int:
        """Return the child's full years on a day."""
        return day.year - self.born.year - ((day.month, day.day) < (self.born.month, self.born.day))


def throw_plans(seed: int, cases: int, start: date) -> tuple[CasePlan, ...]:
    """Return the plan of every case of a year that begins on a day; the same seed gives the same plans."""
    return tuple(throw_plan(seed, number, start) for number in range(cases))


def throw_plan(seed: int, number: int, start: date) -> CasePlan:
    """Return the plan of one case; it does not depend on how many there are."""
    thrown = dice(seed, number, "plan")
    arrives = start + timedelta(days=int(thrown.triangular(0, _LAST_ARRIVAL, _LAST_ARRIVAL / 3)))
    outside = thrown.choice(_OUTSIDE) if happens(thrown, 0.12) else ""
    born = _born(thrown, arrives, outside)
    parents = _parents(thrown)
    theme = thrown.choice(tuple(_THEMES))
    return CasePlan(
        number=number,
        arrives=arrives,
        first_name=made_up(thrown),
        family_name=made_up(thrown),
        born=born,
        words=(made_up(thrown), made_up(thrown)),
        parents=parents,
        department=thrown.randrange(3),
        caseworker=thrown.randrange(1000),
        views_after=thrown.randint(0, 4),
        child_view=one_of(thrown, ("heard", "declined", "not_heard"), (75, 15, 10)),
        family_view=one_of(thrown, ("heard", "declined"), (95, 5)),
        assess_after=thrown.choice((0, 0, 1, 2, 4)),
        outside=outside,
        theme=theme,
        measure=thrown.choice(_THEMES[theme]),
        attempts=tuple(_attempt(thrown, number) for number in range(3)),
        course=throw_course(thrown),
        close_after=None if happens(thrown, 0.06) else thrown.randint(1, 12),
        curious=number == 0 or happens(thrown, 0.04),
    )


def _born(thrown: Random, arrives: date, outside: str) -> date:
    """Return a birthday; few turn fifteen or eighteen within the year that follows."""
    if outside == "age":
        return arrives - timedelta(days=int(_DAYS_A_YEAR * OF_AGE) + thrown.randint(5, 700))
    years = one_of(thrown, tuple(range(1, OF_AGE)), (3, 3, 3, 3, 5, 6, 7, 8, 8, 8, 8, 8, 8, 7, 6, 6, 3))
    days = thrown.randint(1, 364)
    if years in {YOUNG - 1, OF_AGE - 1} and happens(thrown, 0.7):
        years -= 1
    return arrives - timedelta(days=int(_DAYS_A_YEAR * years) + days)


def _parents(thrown: Random) -> tuple[Parent, ...]:
    both = happens(thrown, 0.62)
    return tuple(
        Parent(
            name=made_up(thrown),
            language=one_of(thrown, ("da", "nb", "en"), (80, 5, 15)),
            email=address(thrown) if happens(thrown, 0.3) else None,
            residence=parent == 0 or happens(thrown, 0.5),
        )
        for parent in range(1 + both)
    )


def _attempt(thrown: Random, number: int) -> Attempt:
    return Attempt(
        draft_after=thrown.randint(1, 5),
        said=tuple(_said(thrown) for _ in range(_MOST_ASKED)),
        send_after=one_of(thrown, (1, 2, 6), (60, 30, 10)),
        recalled=one_of(thrown, ("", "drafted", "ready", "sent", "accepted"), (92, 1, 2, 3, 2)),
        see_after=thrown.choice((1, 1, 2, 3)),
        answer=one_of(thrown, ("accept", "decline", "silent"), (70 + 8 * number, 20, 8)),
        answer_after=one_of(thrown, (0, 2, 4, 7), (35, 35, 20, 10)),
        reason=thrown.choice(_DECLINES),
        withdrawn=happens(thrown, 0.02),
        delete_after=one_of(thrown, (1, 3, 7), (60, 30, 10)),
        again=happens(thrown, 0.75),
    )


def _said(thrown: Random) -> Said:
    return Said(
        answer=one_of(thrown, ("give", "refuse", "silent"), (90, 4, 6)),
        after=one_of(thrown, (0, 1, 3, 6, 10), (30, 30, 20, 15, 5)),
        minuted=happens(thrown, 0.15),
    )
