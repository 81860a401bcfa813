"""Measurements, what a child's scores come to, and what may be shown of many children."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given as each
from hypothesis import strategies as st

from contracts import evaluation as contract
from services.evaluation.domain import refusals
from services.evaluation.domain.lifecycle import decide
from services.evaluation.domain.states import Case, Change, Measured
from services.evaluation.domain.steps.measuring import changes
from services.evaluation.projections import outcome_rows
from services.evaluation.views.outcomes import DimensionView, Tally, outcomes_view, wilson
from services.kernel.decider.decision import Decision, PrivateValue
from services.kernel.decider.service import StreamChange
from services.kernel.decider.small_groups import LEAST_SHOWN
from services.kernel.errors import Refused
from tests.examples_evaluation import (
    AGREEMENT,
    CASE,
    DIMENSIONS,
    ENDS,
    FIRST,
    KERTEMINDE,
    LAST,
    MEASUREMENT,
    TENANT,
    TODAY,
    a_case,
    a_running,
    an_over,
    context,
    measured,
    to_measure,
)

CHANGES: dict[str, Change] = {
    "mental_wellbeing": "better",
    "social_skills": "same",
    "coping_skills": "worse",
    "self_perception": "missing",
}
SCORES = {f"scores:{AGREEMENT}:start": FIRST}


def shown(
    better: int = 0, same: int = 0, worse: int = 0, missing: int = 0, children: int | None = None
) -> DimensionView:
    """Return what is shown of the counts of one dimension; each is of another child, or they are fewer."""
    counts = better, same, worse, missing
    measured = better + same + worse if children is None else children
    of_each = counts if children is None else [min(children, count) for count in counts]
    tally = Tally("coping_skills", *counts, measured, *of_each)
    return outcomes_view("end", [tally]).dimensions[0]


def reckoned(**moved: Change) -> contract.OutcomeReckoned:
    """Return the event for other services of an outcome."""
    return contract.OutcomeReckoned(
        agreement_id=AGREEMENT,
        changes=tuple(
            contract.DimensionChange(dimension=dimension, change=change)
            for dimension, change in {**CHANGES, **moved}.items()
        ),
    )


@pytest.mark.req("S2")
def test_a_measurement_keeps_its_scores_to_itself() -> None:
    """The events say that the child was measured, on what and when; the scores are private."""
    decision = decide(a_case(a_running()), to_measure(), context())

    assert decision.state == a_case(a_running(measured=measured("start")))
    assert decision.events == (
        contract.MeasurementTaken(
            agreement_id=AGREEMENT,
            measurement_id=MEASUREMENT,
            moment="start",
            taken_on=TODAY,
            dimensions=tuple(sorted(FIRST)),
        ),
    )
    assert decision.private_values == (PrivateValue(CASE, f"scores:{AGREEMENT}:start", FIRST),)


@pytest.mark.req("S2")
def test_the_last_measurement_is_held_against_the_first() -> None:
    """Each dimension has become better, stayed, become worse, or is missing: never guessed."""
    case = a_case(a_running(measured=measured("start")))

    decision = decide(case, to_measure("end"), context(private=SCORES))

    assert decision.events[1:] == (reckoned(),)
    assert decision.state.collaborations[AGREEMENT].outcomes == {"end": CHANGES}


def test_without_a_first_measurement_there_is_no_outcome() -> None:
    """What was not measured at the start cannot be reckoned, and an erased start is missing throughout."""
    alone = decide(a_case(a_running()), to_measure("end"), context())
    erased = decide(a_case(a_running(measured=measured("start"))), to_measure("end"), context(private={}))

    assert [type(event) for event in alone.events] == [contract.MeasurementTaken]
    assert erased.state.collaborations[AGREEMENT].outcomes == {"end": dict.fromkeys(DIMENSIONS, "missing")}


@pytest.mark.req("S2")
def test_scores_put_right_are_reckoned_again() -> None:
    """The later scores of a moment count; the same scores again change nothing."""
    case = a_case(a_running(measured=measured("start", "end"), outcomes={"end": CHANGES}))
    private = {**SCORES, f"scores:{AGREEMENT}:end": LAST}

    put_right = decide(case, to_measure(scores={**FIRST, "social_skills": 1.0}), context(private=private))

    assert decide(case, to_measure("end"), context(private=private)) == Decision(case)
    assert put_right.events[1:] == (reckoned(social_skills="better"),)


@pytest.mark.req("S4")
def test_the_child_is_measured_once_more_when_the_network_has_gone_on() -> None:
    """Six months after the end the lasting change is held against the start."""
    case = a_case(an_over(measured=measured("start"), outcomes={}))
    half_a_year_on = datetime(2027, 3, 1, 9, tzinfo=UTC)

    decision = decide(case, to_measure("after"), context(private=SCORES, now=half_a_year_on))

    assert decision.state.collaborations[AGREEMENT].outcomes == {"after": CHANGES}
    assert decision.events[1:] == (reckoned(),)


@pytest.mark.parametrize(
    ("collaboration", "changes_", "refusal"),
    [
        (a_running(), {"scores": {}}, refusals.ScoreMissing),
        (a_running(), {"scores": {"happiness": 3.0}}, refusals.DimensionUnknown),
        (a_running(), {"scores": {"coping_skills": 5.5}}, refusals.ScoreOffScale),
        (a_running(), {"scores": {"coping_skills": 0.9}}, refusals.ScoreOffScale),
        (a_running(), {"scores": {"coping_skills": float("nan")}}, refusals.ScoreOffScale),
        (an_over(), {"moment": "start"}, refusals.StartPast),
        (a_running(), {"moment": "after"}, refusals.AfterTooEarly),
        (an_over(), {"moment": "after"}, refusals.AfterTooEarly),
    ],
)
def test_only_what_the_model_measures_counts(
    collaboration: Any, changes_: dict[str, Any], refusal: type[Refused]
) -> None:
    """The model names dimensions and scales, and each measurement has its time."""
    with pytest.raises(refusal):
        decide(a_case(collaboration), to_measure(**changes_), context())


@pytest.mark.req("S2")
@pytest.mark.parametrize(
    ("last", "change"), [(2.5, "better"), (2.49, "same"), (1.51, "same"), (1.5, "worse"), (2.0, "same")]
)
def test_a_move_of_the_threshold_counts(last: float, change: str) -> None:
    """A move of half a point is better or worse; a smaller one is the same."""
    moved = changes({"coping_skills": 2.0}, {"coping_skills": last}, KERTEMINDE)

    assert moved["coping_skills"] == change


def test_decimal_scores_reach_the_threshold() -> None:
    """From 3.1 to 3.6 is half a point, whatever binary fractions make of it."""
    assert changes({"coping_skills": 3.1}, {"coping_skills": 3.6}, KERTEMINDE)["coping_skills"] == "better"
    assert changes({"coping_skills": 4.6}, {"coping_skills": 4.1}, KERTEMINDE)["coping_skills"] == "worse"


@pytest.mark.req("S2")
def test_shares_come_with_their_uncertainty() -> None:
    """Of some 55 measured children 30 are better: 55 per cent, and by 95 per cent between 37 and 72."""
    found = shown(better=28, same=15, worse=10, missing=7)

    assert (found.measured, found.missing) == (55, 5)
    assert found.better is not None
    assert found.better.count == 30
    assert found.better.share == pytest.approx(0.5455, abs=1e-4)
    assert (round(found.better.low, 2), round(found.better.high, 2)) == (0.37, 0.72)


@each(st.integers(5, 500), st.data())
def test_the_interval_allows_for_what_was_rounded_away(measured: int, data: st.DataObject) -> None:
    """What the exact counts would have shown lies within it."""
    better = data.draw(st.integers(5, measured))

    found = shown(better=better, same=measured - better).better

    assert found is not None
    low, high = wilson(better, measured)
    assert found.low <= low + 1e-12
    assert high - 1e-12 <= found.high
    assert found.low - 1e-12 <= found.share <= found.high + 1e-12


@pytest.mark.req("S2")
def test_wilson_gives_the_published_interval() -> None:
    """Newcombe (Statistics in Medicine 17, 1998, table I) prints these limits of Wilson's method."""
    printed = {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0.0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }

    for (count, of), limits in printed.items():
        assert wilson(count, of) == pytest.approx(limits, abs=5e-5)


@each(st.integers(1, 10_000), st.data())
def test_the_share_lies_within_its_interval(of: int, data: st.DataObject) -> None:
    """Whatever was counted, the interval holds the share and stays between nothing and all."""
    count = data.draw(st.integers(0, of))

    low, high = wilson(count, of)

    assert 0.0 <= low <= count / of + 1e-12
    assert count / of - 1e-12 <= high <= 1.0


@pytest.mark.req("S2")
def test_a_group_so_small_that_a_child_could_be_known_is_not_shown() -> None:
    """Four children stand behind it, however often they were measured: not even the counts are shown."""
    found = shown(better=6, worse=1, missing=20, children=LEAST_SHOWN - 1)

    assert found.suppressed
    assert found.model_dump(exclude_none=True) == {
        "dimension": "coping_skills",
        "suppressed": True,
    }


@pytest.mark.req("S2")
def test_finding_10_a_small_part_of_a_large_group_is_not_shown_either() -> None:
    """Finding 10: of fourteen children two are worse; that is not shown, nor what the others leave."""
    found = shown(better=12, worse=2, missing=4)

    assert (found.measured, found.missing, found.worse, found.same) == (15, None, None, None)
    assert found.better is not None
    assert found.better.count == 10


def rows(case: Case) -> dict[tuple[str, str], tuple[str, date]]:
    """Return change and first counted day of a case, by dimension and moment."""
    saved = StreamChange(CASE, TENANT, 1, None, case, (), ())
    return {(row[1], row[2]): (row[5], row[7]) for row in outcome_rows(saved, case)}


@pytest.mark.req("S2")
def test_what_was_not_measured_is_counted_as_missing() -> None:
    """A collaboration that is over counts on every dimension, from the day it should have been measured."""
    over = an_over(measured=measured("start"))
    late = Measured(MEASUREMENT, ENDS + timedelta(days=3), DIMENSIONS)
    reckoned_over = an_over(measured={"start": late, "end": late}, outcomes={"end": CHANGES})

    assert rows(a_case(a_running(measured=measured("start")))) == {}
    assert set(rows(a_case(over))) == {
        (dimension, moment) for dimension in DIMENSIONS for moment in ("end", "after")
    }
    assert rows(a_case(over))["coping_skills", "after"] == ("missing", over.after_on)
    assert rows(a_case(reckoned_over))["coping_skills", "end"] == ("worse", late.taken_on)
