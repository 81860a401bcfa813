"""Quorum: who must consent by the model's dated rules and the child's age, and when to check again; pure."""

from collections.abc import Iterable
from datetime import date, timedelta
from uuid import UUID

from msgspec import Struct

from contracts.model_parts import ConsentRule

_LONGER_THAN_A_MONTH = timedelta(days=31)


class Quorum(Struct, frozen=True):
    """Who must consent, what that rule is called, and whether the child is of age."""

    must: tuple[UUID, ...]
    code: str
    rule: str
    of_age: bool


def age_on(born: date, day: date) -> int:
    """Return the full years of a person on a day; negative before the birth."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def quorum_of(
    rule: ConsentRule, age: int, *, holders: Iterable[UUID], residence: Iterable[UUID], young: UUID | None
) -> Quorum:
    """Return who must consent at an age; nobody at all means that nothing can be permitted.

    From `own_from` only the young person, from `young_person_from` they too; where the rule's quorum is
    `young_person_and_holders`, already from `party_from`. What the authority decides is no consent.
    """
    own = () if young is None else (young,)
    if age >= rule.own_from:
        return Quorum(own, "young_person", rule.code, of_age=True)
    if rule.quorum == "authority_decision":
        return Quorum((), rule.quorum, rule.code, of_age=False)
    persons = tuple(residence if rule.quorum == "residence_holder" else holders)
    since = rule.party_from if rule.quorum == "young_person_and_holders" else rule.young_person_from
    if age < since:
        quorum = "all_holders" if rule.quorum == "young_person_and_holders" else rule.quorum
        return Quorum(persons, quorum, rule.code, of_age=False)
    # where the young person must be asked and is not named, nobody's yes is enough
    must = (*persons, *own) if persons and own else ()
    return Quorum(must, "young_person_and_holders", rule.code, of_age=False)


def next_check(born: date, today: date, rules: Iterable[ConsentRule]) -> date | None:
    """Return the day on which the rule must be held against the age again; None when nothing can change.

    It is every day of a month that holds a deciding birthday, and else the first of the next month: the day
    of the timer must not give away when the child was born.
    """
    dated = tuple(rules)
    if age_on(born, today) >= max(rule.own_from for rule in dated):
        return None
    years = today.year - born.year
    birthday_near = today.month == born.month and any(
        years in (rule.party_from, rule.young_person_from, rule.own_from) for rule in dated
    )
    month = (today.year, today.month)
    rule_near = any((rule.valid_from.year, rule.valid_from.month) == month for rule in dated)
    if birthday_near or rule_near:
        return today + timedelta(days=1)
    return (today.replace(day=1) + _LONGER_THAN_A_MONTH).replace(day=1)
