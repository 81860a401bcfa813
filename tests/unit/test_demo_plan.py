"""The plans of a demo year: thrown from a seed, the same each time, with something of everything."""

from collections import Counter
from datetime import date, timedelta
from uuid import uuid4

import pytest

from demo.ledger import Deed, Ledger
from demo.plan import OF_AGE, YOUNG, CasePlan, throw_plan, throw_plans

START = date(2026, 1, 5)


@pytest.fixture(scope="module")
def plans() -> tuple[CasePlan, ...]:
    """Return the plans of a large year."""
    return throw_plans(1, 2000, START)


def share(count: int, plans: tuple[CasePlan, ...]) -> float:
    """Return a count as a share of the plans."""
    return count / len(plans)


def test_the_same_seed_throws_the_same_plans() -> None:
    """A year can be played again."""
    assert throw_plans(7, 40, START) == throw_plans(7, 40, START)


def test_another_seed_throws_other_plans() -> None:
    """No two years are alike."""
    assert throw_plans(7, 40, START) != throw_plans(8, 40, START)


def test_a_case_does_not_depend_on_how_many_there_are() -> None:
    """A small year is the beginning of a large one."""
    assert throw_plans(7, 40, START)[39] == throw_plan(7, 39, START)


def test_names_and_texts_are_unmistakably_made_up(plans: tuple[CasePlan, ...]) -> None:
    """Every name is long and holds letters that no Danish word has in such an order."""
    markers = {marker for plan in plans for marker in plan.markers}

    assert all(len(marker) >= 6 and marker.isalpha() for marker in markers)
    assert all(set(marker.lower()) & set("zxqw") for marker in markers)
    assert len(markers) > 0.99 * sum(len(plan.markers) for plan in plans) * 0.9


def test_addresses_hold_no_name(plans: tuple[CasePlan, ...]) -> None:
    """A mail may show an address; it must not show whose it is."""
    for plan in plans:
        for parent in plan.parents:
            if parent.email is not None:
                assert not any(marker.lower() in parent.email for marker in plan.markers)


def test_some_cases_are_outside_for_every_reason(plans: tuple[CasePlan, ...]) -> None:
    """About one case in eight is not eligible, and each criterion fails for some."""
    outside = Counter(plan.outside for plan in plans if plan.outside)

    assert 0.09 < share(outside.total(), plans) < 0.15
    assert set(outside) == {"age", "residence", "situation", "wish", "condition", "judged", "serious"}


def test_who_is_outside_by_age_is_of_age_and_nobody_else(plans: tuple[CasePlan, ...]) -> None:
    """The plan's age is the one that the server will reckon."""
    for plan in plans:
        assert (plan.age_on(plan.arrives) >= OF_AGE) == (plan.outside == "age")


def test_families_say_yes_and_no_and_nothing(plans: tuple[CasePlan, ...]) -> None:
    """Most who are asked consent; some refuse, and some never answer."""
    said = Counter(one.answer for plan in plans for one in plan.attempts[0].said)

    assert 0.87 < said["give"] / said.total() < 0.93
    assert 0.02 < said["refuse"] / said.total() < 0.06
    assert 0.04 < said["silent"] / said.total() < 0.08


def test_organisations_accept_decline_and_stay_silent(plans: tuple[CasePlan, ...]) -> None:
    """Most referrals are accepted; some are declined, and some are never answered."""
    answers = Counter(plan.attempts[0].answer for plan in plans)

    assert 0.65 < share(answers["accept"], plans) < 0.78
    assert 0.15 < share(answers["decline"], plans) < 0.26
    assert 0.05 < share(answers["silent"], plans) < 0.12


def test_some_have_one_holder_and_some_are_young_persons(plans: tuple[CasePlan, ...]) -> None:
    """Custody is held by one or by two, and from fifteen the young person is asked too."""
    single = sum(len(plan.parents) == 1 for plan in plans)
    young = sum(plan.age_on(plan.arrives) >= YOUNG for plan in plans)

    assert 0.3 < share(single, plans) < 0.46
    assert 0.08 < share(young, plans) < 0.25


def test_some_updates_are_missing_and_some_evaluations_are_missed(plans: tuple[CasePlan, ...]) -> None:
    """Silence is planned too, so that somebody must be reminded."""
    missing = sum(update.late is None for plan in plans for update in plan.course.updates)
    missed = sum(held.conclude_after is None for plan in plans for held in plan.course.evaluations)

    assert 0.07 < missing / sum(len(plan.course.updates) for plan in plans) < 0.13
    assert 0.07 < missed / sum(len(plan.course.evaluations) for plan in plans) < 0.13


def test_somebody_is_always_curious(plans: tuple[CasePlan, ...]) -> None:
    """The first case of every year has people try to read who may not."""
    assert plans[0].curious
    assert 0.02 < share(sum(plan.curious for plan in plans), plans) < 0.06


def a_ledger(on: date) -> Ledger:
    """Return a ledger with one command, by somebody whom no other run knows."""
    ledger = Ledger(lambda _: None)
    ledger.acknowledged(ledger.opens(1), Deed("open", "referral.case_opened.v1", uuid4(), on))
    return ledger


def test_the_fingerprint_of_a_year_distinguishes_its_steps() -> None:
    """The same steps on the same days are the same year, whatever ids they carry."""
    assert a_ledger(START).digest() == a_ledger(START).digest()
    assert a_ledger(START).digest() != a_ledger(START + timedelta(days=1)).digest()
