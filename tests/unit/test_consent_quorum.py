"""Quorum: who must consent by rule and age, and on which days that is checked again."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given as example
from hypothesis import strategies as st

from services.consent.domain.steps.quorum import age_on, next_check, quorum_of
from services.kernel.decider.working_days import months_after
from tests.examples_consent import FATHER, MODEL, MOTHER, YOUNG_PERSON

HOLDERS = (MOTHER, FATHER)


@pytest.mark.parametrize(
    ("quorum", "age", "young", "must", "code"),
    [
        ("all_holders", 14, YOUNG_PERSON, HOLDERS, "all_holders"),
        ("all_holders", 15, YOUNG_PERSON, (*HOLDERS, YOUNG_PERSON), "young_person_and_holders"),
        ("all_holders", 15, None, (), "young_person_and_holders"),
        ("all_holders", 18, YOUNG_PERSON, (YOUNG_PERSON,), "young_person"),
        ("all_holders", 18, None, (), "young_person"),
        ("residence_holder", 9, None, (MOTHER,), "residence_holder"),
        ("residence_holder", 15, YOUNG_PERSON, (MOTHER, YOUNG_PERSON), "young_person_and_holders"),
        ("young_person_and_holders", 9, None, HOLDERS, "all_holders"),
        ("young_person_and_holders", 10, YOUNG_PERSON, (*HOLDERS, YOUNG_PERSON), "young_person_and_holders"),
        ("authority_decision", 9, YOUNG_PERSON, (), "authority_decision"),
    ],
)
def test_who_must_consent_by_rule_and_age(
    quorum: str, age: int, young: UUID | None, must: tuple[UUID, ...], code: str
) -> None:
    """The model's dated rule says who is asked; where one of them is not named, no yes is enough."""
    rule = MODEL.consent.rules[0].model_copy(update={"quorum": quorum})

    found = quorum_of(rule, age, holders=HOLDERS, residence=(MOTHER,), young=young)

    assert (found.must, found.code, found.rule) == (must, code, "dk_2024")


def test_a_birthday_on_the_leap_day_is_kept_on_the_first_of_march() -> None:
    """Full years are counted, also in years without that day."""
    born = date(2008, 2, 29)

    assert [age_on(born, date(2026, 2, 28)), age_on(born, date(2026, 3, 1))] == [17, 18]


@pytest.mark.parametrize(
    ("moment", "months", "later"),
    [
        (datetime(2026, 3, 5, 19, 30, tzinfo=UTC), 12, datetime(2027, 3, 5, 19, 30, tzinfo=UTC)),
        (datetime(2028, 2, 29, 8, 0, tzinfo=UTC), 12, datetime(2029, 2, 28, 8, 0, tzinfo=UTC)),
        (datetime(2026, 8, 31, 8, 0, tzinfo=UTC), 6, datetime(2027, 2, 28, 8, 0, tzinfo=UTC)),
        (datetime(2026, 11, 30, 8, 0, tzinfo=UTC), 1, datetime(2026, 12, 30, 8, 0, tzinfo=UTC)),
    ],
)
def test_months_are_counted_by_the_calendar(moment: datetime, months: int, later: datetime) -> None:
    """Twelve months later is the same day, or the last one of a shorter month."""
    assert months_after(moment, months) == later


@example(
    born=st.dates(date(2005, 1, 1), date(2026, 3, 1)), today=st.dates(date(2026, 3, 1), date(2040, 1, 1))
)
def test_the_check_of_a_childs_age_misses_no_birthday_and_gives_none_away(born: date, today: date) -> None:
    """A deciding birthday is never passed over, and the days of the check are the same for a whole month."""
    rules = MODEL.consent.rules
    due = next_check(born, today, rules)

    if due is None:
        assert age_on(born, today) >= 18
        return
    in_between = [today + timedelta(days=n) for n in range(1, (due - today).days)]
    assert all(
        age_on(born, day) == age_on(born, today) or age_on(born, day) not in (10, 15, 18)
        for day in in_between
    )
    assert due == next_check(born.replace(day=15), today, rules) or age_on(born.replace(day=15), today) >= 18
