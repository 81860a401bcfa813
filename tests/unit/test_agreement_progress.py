"""Progress updates of an agreement: reported, late and missed."""

from datetime import date, timedelta

import pytest

from contracts import agreement as contract
from services.agreement.domain.lifecycle import decide
from services.agreement.domain.states import (
    InForce,
    Update,
)
from services.kernel.decider.decision import Decision
from tests.examples_agreement import (
    AGREEMENT,
    COORDINATOR,
    ENDS,
    NOW,
    TODAY,
    UPDATE_DUE,
    a_case,
    after,
    an_ended,
    an_in_force,
    context,
    due,
    fired,
    to_report,
)


@pytest.mark.req("N9")
def test_progress_is_reported_and_the_next_update_expected() -> None:
    """The organisation says how it goes, in words for the parties and a trend for the figures."""
    decision = decide(a_case(an_in_force()), to_report(), context(COORDINATOR))
    agreement = after(decision)

    assert isinstance(agreement, InForce)
    assert agreement.updates == (Update(1, UPDATE_DUE, TODAY, "forward"),)
    assert agreement.updates[0].on_time
    assert agreement.expected == Update(2, TODAY + timedelta(days=30))
    assert decision.events == (
        contract.ProgressReported(agreement_id=AGREEMENT, number=1, reported_on=TODAY, trend="forward"),
    )
    assert [private.value for private in decision.private_values] == ["she laughed a lot"]
    assert {timer.kind for timer in decision.timers} == set(due(agreement)) - {"end"}


@pytest.mark.req("N9")
def test_a_missing_update_climbs_the_silence_ladder() -> None:
    """Two working days before, on the day, five days after; ten days after it is counted as missed."""
    case = a_case(an_in_force())
    rungs = due(an_in_force())

    nudges = []
    for kind, at in rungs.items():
        assert at is not None
        decision = decide(case, fired(kind, at), context(now=at))
        nudges += [event.rung for event in decision.events if isinstance(event, contract.ProgressNudged)]
    missed = decide(case, fired("progress:automatic", rungs["progress:automatic"] or NOW), context())
    agreement = after(missed)

    assert nudges == ["reminder", "stand_in", "leader", "automatic"]
    assert [at.date() for at in rungs.values() if at] == [
        date(2026, 4, 1),  # two working days before, with Easter between
        UPDATE_DUE,
        date(2026, 4, 15),
        date(2026, 4, 22),
        ENDS,
    ]
    assert isinstance(agreement, InForce)
    assert agreement.updates == (Update(1, UPDATE_DUE),)
    assert not agreement.updates[0].on_time
    assert agreement.expected.number == 2


def test_a_timer_that_was_replaced_changes_nothing() -> None:
    """A nudge that fires while the update arrives is about an update that is no longer missing."""
    old = due(an_in_force())["progress:reminder"]
    case = decide(a_case(an_in_force()), to_report(), context(now=NOW + timedelta(days=25))).state
    assert old is not None

    assert decide(case, fired("progress:reminder", old), context()) == Decision(case)
    assert decide(a_case(an_ended()), fired("end", old), context()).events == ()
    assert decide(a_case(), fired("end", old), context()).events == ()
