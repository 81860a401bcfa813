"""Evaluations as their agreement goes on: planned, replanned and cancelled, and the reminders before them."""

from datetime import date, timedelta

import pytest

from contracts import evaluation as contract
from services.evaluation.domain.deadlines import first_day, next_day
from services.evaluation.domain.lifecycle import decide
from services.evaluation.domain.states import (
    Cancelled,
    Planned,
)
from services.kernel.decider.decision import Decision
from services.kernel.decider.working_days import months_after
from tests.examples_evaluation import (
    AGREEMENT,
    DUE_ON,
    EVALUATION,
    KERTEMINDE,
    LAST_DAY,
    NEXT,
    ORGANISATION,
    TODAY,
    a_cancelled,
    a_case,
    a_concluded,
    a_due,
    a_missed,
    a_plan,
    a_planned,
    a_running,
    after,
    an_over,
    context,
    due,
    ended,
    fired,
    in_force,
    lost,
    measured,
    planned_event,
)


@pytest.mark.req("N12")
def test_an_agreement_in_force_plans_its_first_evaluation() -> None:
    """As the volunteers begin, the day of the first conversation is set, one interval on."""
    decision = decide(a_case(), in_force(), context())

    assert decision.state == a_case(a_running())
    assert decision.events == (planned_event(),)
    assert {timer.kind: timer.due_at for timer in decision.timers} == due(a_running())


@pytest.mark.req("N12")
def test_an_agreement_signed_late_is_first_evaluated_an_interval_after_the_last_name() -> None:
    """Nobody is chased for a conversation that should have been held before the agreement was in force."""
    late = in_force(starts_on=TODAY - timedelta(days=130))

    decision = decide(a_case(), late, context())

    assert decision.events == (planned_event(),)


@pytest.mark.req("N12")
def test_evaluations_leave_time_for_their_ladder_before_the_end() -> None:
    """The last one is held so early that silence can still be chased; a short agreement has one as well."""
    plan = a_plan()

    assert first_day(plan, KERTEMINDE, TODAY) == DUE_ON
    assert next_day(DUE_ON, plan, KERTEMINDE) == LAST_DAY
    assert next_day(LAST_DAY, plan, KERTEMINDE) is None
    week = a_plan(ends_on=TODAY + timedelta(days=7))
    assert first_day(week, KERTEMINDE, TODAY) == week.ends_on
    assert [months_after(date(2026, 8, 31), months) for months in (1, 6, 18)] == [
        date(2026, 9, 30),
        date(2027, 2, 28),
        date(2028, 2, 29),
    ]


def test_a_new_version_never_puts_an_evaluation_off() -> None:
    """What is planned keeps its day; a version that wants an earlier one cancels it, and plans anew."""
    longer = decide(a_case(a_running()), in_force(version=2, ends_on=date(2027, 3, 9)), context())
    sooner = decide(a_case(a_running()), in_force(version=2, evaluate_every_days=30), context())
    spoken = decide(
        a_case(a_running(a_planned("child"))), in_force(version=2, evaluate_every_days=30), context()
    )
    none_left = a_case(a_running(a_concluded(), plan=a_plan(ends_on=TODAY)))
    prolonged = decide(none_left, in_force(version=2), context())

    assert longer.events == spoken.events == ()
    assert after(longer) == a_planned()
    assert longer.state.collaborations[AGREEMENT].plan.version == 2
    assert after(sooner) == a_cancelled()
    assert sooner.events == (planned_event(date(2026, 4, 8), NEXT),)
    assert prolonged.events == (planned_event(DUE_ON, NEXT),)


@pytest.mark.req("N12")
def test_when_the_day_comes_the_voices_are_waited_for() -> None:
    """On the day, or on the next working day, child, family and organisation are invited to speak."""
    at = due(a_running())["conclusion:due"]

    decision = decide(a_case(a_running()), fired("conclusion:due", at), context(now=at))

    assert at.date() == date(2026, 6, 8)  # the Monday
    assert after(decision) == a_due()
    assert decision.events == (
        contract.EvaluationDue(
            evaluation_id=EVALUATION, agreement_id=AGREEMENT, organisation_id=ORGANISATION, due_on=DUE_ON
        ),
    )
    assert {timer.kind for timer in decision.timers} == {"conclusion:reminder", "conclusion:due"}
    assert all(timer.due_at is None for timer in decision.timers)


@pytest.mark.req("N12")
def test_an_evaluation_that_is_not_held_climbs_the_ladder() -> None:
    """Reminded before, chased on the day and after; at last it counts as missed and the next is planned."""
    rungs = due(a_running())
    planned, late = a_case(a_running()), a_case(a_running(a_due("child")))

    reminder = decide(planned, fired("conclusion:reminder", rungs["conclusion:reminder"]), context())
    nudges = [
        decide(late, fired(kind, rungs[kind]), context())
        for kind in ("conclusion:stand_in", "conclusion:leader")
    ]
    missed = decide(
        late,
        fired("conclusion:automatic", rungs["conclusion:automatic"]),
        context(now=rungs["conclusion:automatic"]),
    )

    assert [at.date().isoformat() for at in rungs.values()] == [
        "2026-06-03",  # the fifth is a closed day
        "2026-06-08",
        "2026-06-08",
        "2026-06-15",
        "2026-06-22",
    ]
    for decision, rung in zip(
        (reminder, *nudges, missed), ("reminder", "stand_in", "leader", "automatic"), strict=True
    ):
        assert decision.events[0] == contract.EvaluationNudged(
            evaluation_id=EVALUATION, organisation_id=ORGANISATION, due_on=DUE_ON, rung=rung
        )
    assert after(missed) == a_missed("child")
    assert missed.events[1:] == (planned_event(LAST_DAY, NEXT),)


def test_after_a_long_silence_the_next_evaluation_lies_ahead() -> None:
    """Where a whole interval has passed unheard, the rhythm begins again from today."""
    short = a_running(a_due(), plan=a_plan(evaluate_every_days=10))
    late = due(short)["conclusion:automatic"]

    decision = decide(a_case(short), fired("conclusion:automatic", late), context(now=late))

    assert after(decision, NEXT).due_on == date(2026, 7, 2)


def test_a_timer_that_is_not_waited_for_changes_nothing() -> None:
    """A timer that fires while the evaluation is concluded, cancelled or silenced changes nothing."""
    at = due(a_running())["conclusion:due"]
    too_early = at - timedelta(days=1)
    cases = (
        a_case(a_running(a_concluded())),
        a_case(an_over()),
        a_case(),
        a_case(a_running(), consents={}, collaborations={AGREEMENT: a_running(a_missed())}),
    )

    for case in cases:
        assert decide(case, fired("conclusion:due", at), context()) == Decision(case)
    waiting = a_case(a_running())
    assert decide(waiting, fired("conclusion:due", too_early), context()) == Decision(waiting)


@pytest.mark.req("K3")
def test_a_lost_consent_silences_the_ladder() -> None:
    """No reminder goes out about a child whose consent is gone, even before the agreement's end arrives."""
    case = decide(a_case(a_running()), lost(), context()).state

    for kind, at in due(a_running()).items():
        assert decide(case, fired(kind, at), context()) == Decision(case)


def test_the_end_cancels_what_was_to_be_held() -> None:
    """When the agreement ends nothing more is evaluated; what was concluded and measured stays."""
    evaluations = {EVALUATION: a_concluded(), NEXT: Planned(number=2, due_on=LAST_DAY)}
    case = a_case(a_running(evaluations=evaluations, measured=measured("start")))

    decision = decide(case, ended(), context())
    over = decision.state.collaborations[AGREEMENT]

    assert over == an_over(
        measured=measured("start"),
        evaluations={EVALUATION: a_concluded(), NEXT: Cancelled(number=2, due_on=LAST_DAY)},
    )
    assert decision.events == ()
    assert {(timer.ref, timer.due_at) for timer in decision.timers} == {(NEXT, None)}
    assert decide(decision.state, in_force(version=2), context()) == Decision(decision.state)
    assert decide(decision.state, ended("stopped"), context()) == Decision(decision.state)


def test_an_agreement_that_never_began_is_not_followed() -> None:
    """A meeting that never came to an agreement leaves nothing to evaluate."""
    assert decide(a_case(), ended(), context()) == Decision(a_case())
