"""Figures without small groups: what is shown of a count tells of no single child."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.agreement.views import figures_view as agreement_figures
from services.kernel.decider.small_groups import LEAST_SHOWN, shown_count, shown_counts, shown_days
from services.notify.views import figures_view as notify_figures
from services.referral.views import funnel


@pytest.mark.parametrize("count", range(LEAST_SHOWN))
def test_finding_10_fewer_than_five_are_not_told_from_none(count: int) -> None:
    """Finding 10: one case and no case are shown alike."""
    assert shown_count(count, count) is None
    assert shown_counts([("closed", count, count)]) == {}


def test_five_of_one_child_are_a_small_group() -> None:
    """Five referrals of one child are about that child."""
    assert shown_count(5, 1) is None
    assert shown_days(12.5, 4) is None
    assert shown_days(12.4, 5) == 12
    assert shown_days(None, 9) is None


@given(st.integers(5, 100_000))
def test_finding_10_a_count_is_shown_to_the_nearest_five(count: int) -> None:
    """Finding 10: yesterday's count and today's differ by nothing or by five, and never by one child."""
    shown = shown_count(count, count)

    assert shown is not None
    assert shown % 5 == 0
    assert abs(shown - count) <= 2


@given(st.lists(st.integers(5, 50), min_size=1, max_size=6), st.integers(0, 4))
def test_finding_10_a_small_part_is_not_left_when_the_others_are_taken_from_the_sum(
    others: list[int], small: int
) -> None:
    """Finding 10: what is left lies within what was rounded away, whether the part is four or none."""
    total = shown_count(sum(others) + small, 5)
    without = shown_count(sum(others), 5)

    assert total is not None
    assert without is not None
    assert total - without in {0, 5}


def test_finding_10_no_figure_shows_fewer_than_five() -> None:
    """Finding 10: cases, referrals, days, agreements, goals, notices and mails."""
    one = {"status": "closed", "reason": "moved", "count": 4, "people": 4}
    many = {"status": "opened", "reason": "", "count": 13, "people": 12}
    counted = funnel(
        cases=[one, many],
        referrals=[one | {"count": 9, "people": 4}],
        pace=[{"step": "ready", "days": 3.2, "people": 4}, {"step": "sent", "days": 3.6, "people": 5}],
        answers=[
            {"name": "asked", "count": 7, "people": 5},
            {"name": "answered", "count": 4, "people": 4},
        ],
    )
    goal = {"purpose": "networks", "goals": 8, "reached": 6, "partly": 1, "not_reached": 0}
    agreed = agreement_figures(
        statuses=[("in_force", 6, 6), ("ended", 4, 4)],
        reasons=[("moved", 1, 1)],
        purposes=[goal | {f"{name}_cases": goal[name] for name in goal if name != "purpose"}],
        pace={
            "days_to_meeting": 9.0, "cases_met": 4, "days_to_in_force": 20.5, "cases_in_force": 6,
            "updates": 7, "updates_cases": 6, "updates_on_time": 6, "updates_on_time_cases": 4,
            "updates_missed": 1, "updates_missed_cases": 1,
        },
    )  # fmt: skip
    notices = notify_figures(
        [
            {"kind": "referral_sent", "mail": None, "notices": 6, "cases": 5},
            {"kind": "consent_lost", "mail": None, "notices": 2, "cases": 1},
            {"kind": None, "mail": "failed", "notices": 8, "cases": 4},
        ]
    )

    assert counted.model_dump() == {
        "cases": [{"status": "opened", "reason": "", "count": 15}],
        "referrals": [],
        "median_days": {"sent": 4},
        "asked": 5,
        "answered": None,
        "answered_in_time": None,
    }
    assert agreed.model_dump() == {
        "statuses": {"in_force": 5},
        "reasons": {},
        "purposes": [{"purpose": "networks", "goals": 10, "reached": 5, "partly": None, "not_reached": None}],
        "median_days_to_meeting": None,
        "median_days_to_in_force": 20,
        "updates": 5,
        "updates_on_time": None,
        "updates_missed": None,
    }
    assert notices.model_dump() == {"notices": {"referral_sent": 5}, "mails": {}}
