"""Evaluations: planned, due, heard and concluded, and what becomes of those that are not held."""

from datetime import date, datetime, timedelta
from typing import Any

import msgspec
import pytest

from contracts import evaluation as told
from services.evaluation.app import SERVICE
from services.evaluation.domain import refusals as no
from services.evaluation.domain.commands import Command
from services.evaluation.domain.deadlines import first_day, next_day, timers_of
from services.evaluation.domain.lifecycle import decide
from services.evaluation.domain.states import (
    NEEDED,
    Cancelled,
    Case,
    Collaboration,
    Concluded,
    Due,
    Evaluation,
    Missed,
    Planned,
    Spoken,
    status_of,
)
from services.kernel.decider.decision import Decision, PrivateValue
from services.kernel.decider.working_days import months_after
from services.kernel.errors import InvalidTransition, NotFound, Refused
from tests.examples_evaluation import (
    AGREEMENT,
    CASE,
    CASEWORKER,
    DUE_ON,
    EVALUATION,
    GOAL,
    GUARDIAN,
    KERTEMINDE,
    LAST_DAY,
    MOTHER,
    NEXT,
    ORGANISATION,
    SECRETS,
    TODAY,
    a_cancelled,
    a_case,
    a_concluded,
    a_due,
    a_missed,
    a_plan,
    a_planned,
    a_running,
    an_over,
    collaborations,
    commands,
    ended,
    fired,
    given,
    in_force,
    lost,
    measured,
    news,
    to_conclude,
    to_hear,
    to_measure,
)


def after(decision: Decision, evaluation_id: Any = EVALUATION) -> Evaluation:
    """Return an evaluation as a decision leaves it."""
    case: Case = decision.state
    return case.collaborations[AGREEMENT].evaluations[evaluation_id]


def due(collaboration: Collaboration) -> dict[str, datetime]:
    """Return when the first evaluation is to be woken, by kind of timer."""
    timers = timers_of(a_case(), collaboration, KERTEMINDE)
    return {timer.kind: timer.due_at for timer in timers if timer.due_at and timer.ref == EVALUATION}


def tell_planned(due_on: date = DUE_ON, evaluation_id: Any = EVALUATION) -> told.EvaluationPlanned:
    """Return what others hear of an evaluation's day."""
    return told.EvaluationPlanned(
        evaluation_id=evaluation_id, agreement_id=AGREEMENT, organisation_id=ORGANISATION, due_on=due_on
    )


@pytest.mark.req("N12")
def test_an_agreement_in_force_plans_its_first_evaluation() -> None:
    """As the volunteers begin, the day of the first conversation is set, one interval on."""
    decision = decide(a_case(), in_force(), given())

    assert decision.state == a_case(a_running())
    assert decision.events == (tell_planned(),)
    assert {timer.kind: timer.due_at for timer in decision.timers} == due(a_running())


@pytest.mark.req("N12")
def test_an_agreement_signed_late_is_first_evaluated_an_interval_after_the_last_name() -> None:
    """Nobody is chased for a conversation that should have been held before the agreement was in force."""
    late = in_force(starts_on=TODAY - timedelta(days=130))

    decision = decide(a_case(), late, given())

    assert decision.events == (tell_planned(),)


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
    """What is planned keeps its day; a version that asks for an earlier one cancels it, and plans anew."""
    longer = decide(a_case(a_running()), in_force(version=2, ends_on=date(2027, 3, 9)), given())
    sooner = decide(a_case(a_running()), in_force(version=2, evaluate_every_days=30), given())
    spoken = decide(
        a_case(a_running(a_planned("child"))), in_force(version=2, evaluate_every_days=30), given()
    )
    none_left = a_case(a_running(a_concluded(), plan=a_plan(ends_on=TODAY)))
    prolonged = decide(none_left, in_force(version=2), given())

    assert longer.events == spoken.events == ()
    assert after(longer) == a_planned()
    assert longer.state.collaborations[AGREEMENT].plan.version == 2
    assert after(sooner) == a_cancelled()
    assert sooner.events == (tell_planned(date(2026, 4, 8), NEXT),)
    assert prolonged.events == (tell_planned(DUE_ON, NEXT),)


@pytest.mark.req("N12")
def test_when_the_day_comes_the_voices_are_asked_for() -> None:
    """On the day, or on the next working day, child, family and organisation are asked."""
    at = due(a_running())["conclusion:due"]

    decision = decide(a_case(a_running()), fired("conclusion:due", at), given(now=at))

    assert at.date() == date(2026, 6, 8)  # the Monday
    assert after(decision) == a_due()
    assert decision.events == (
        told.EvaluationDue(
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

    reminder = decide(planned, fired("conclusion:reminder", rungs["conclusion:reminder"]), given())
    nudges = [
        decide(late, fired(kind, rungs[kind]), given())
        for kind in ("conclusion:stand_in", "conclusion:leader")
    ]
    missed = decide(
        late,
        fired("conclusion:automatic", rungs["conclusion:automatic"]),
        given(now=rungs["conclusion:automatic"]),
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
        assert decision.events[0] == told.EvaluationNudged(
            evaluation_id=EVALUATION, organisation_id=ORGANISATION, due_on=DUE_ON, rung=rung
        )
    assert after(missed) == a_missed("child")
    assert missed.events[1:] == (tell_planned(LAST_DAY, NEXT),)


def test_after_a_long_silence_the_next_evaluation_lies_ahead() -> None:
    """Where a whole interval has passed unheard, the rhythm begins again from today."""
    short = a_running(a_due(), plan=a_plan(evaluate_every_days=10))
    late = due(short)["conclusion:automatic"]

    decision = decide(a_case(short), fired("conclusion:automatic", late), given(now=late))

    assert after(decision, NEXT).due_on == date(2026, 7, 2)


@pytest.mark.req("N12")
def test_a_missed_evaluation_can_still_be_concluded() -> None:
    """Late is better than never: what was heard counts, and the next one that is planned stays."""
    evaluations = {EVALUATION: a_missed(*NEEDED), NEXT: Planned(number=2, due_on=LAST_DAY)}
    case = a_case(a_running(evaluations=evaluations))

    decision = decide(case, to_conclude(), given())

    assert after(decision) == a_concluded()
    assert after(decision, NEXT) == evaluations[NEXT]
    assert [type(event) for event in decision.events] == [told.EvaluationConcluded]


def test_a_timer_that_nobody_waits_for_says_nothing() -> None:
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
        assert decide(case, fired("conclusion:due", at), given()) == Decision(case)
    waiting = a_case(a_running())
    assert decide(waiting, fired("conclusion:due", too_early), given()) == Decision(waiting)


@pytest.mark.req("K3")
def test_a_lost_consent_silences_the_ladder() -> None:
    """Nobody is asked about a child whose consent is gone, even before the agreement's end is heard."""
    case = decide(a_case(a_running()), lost(), given()).state

    for kind, at in due(a_running()).items():
        assert decide(case, fired(kind, at), given()) == Decision(case)


@pytest.mark.req("N12")
@pytest.mark.req("H1")
def test_each_voice_is_put_on_record_for_itself() -> None:
    """The child, then the mother, then the father: each speaks separately, and none writes over another."""
    child = decide(a_case(a_running(a_due())), to_hear(), given())
    mother = decide(child.state, to_hear("family", text="sleeps better"), given(GUARDIAN))

    assert child.events == (told.VoiceHeard(evaluation_id=EVALUATION, voice="child", answer="heard"),)
    assert child.private_values == (
        PrivateValue(CASE, f"words:{EVALUATION}:child:{CASEWORKER.id}", "I like the mentor"),
    )
    assert after(mother).voices == (
        Spoken("child", "heard", CASEWORKER.id, "caseworker", TODAY),
        Spoken("family", "heard", MOTHER, "guardian", TODAY),
    )
    assert mother.private_values[0].name == f"words:{EVALUATION}:family:{MOTHER}"


@pytest.mark.req("H1")
def test_nobody_has_to_speak() -> None:
    """Declining is an answer; whoever changes their mind speaks later, and the later words count."""
    declined = decide(a_case(a_running(a_due())), to_hear(answer="declined"), given())
    again = decide(
        declined.state, to_hear(answer="declined"), given(private={declined.private_values[0].name: ""})
    )
    spoke = decide(declined.state, to_hear(), given())

    assert declined.private_values[0].value == ""
    assert again == Decision(declined.state)
    assert [(one.voice, one.answer) for one in after(spoke).voices] == [("child", "heard")]
    with pytest.raises(no.WordsMissing):
        decide(a_case(a_running(a_due())), to_hear(text=" "), given())


def test_the_same_words_are_put_on_record_once() -> None:
    """Whoever sends the same words again changes nothing; other words replace them."""
    first = decide(a_case(a_running(a_due())), to_hear(), given())
    private = {first.private_values[0].name: first.private_values[0].value}

    assert decide(first.state, to_hear(), given(private=private)) == Decision(first.state)
    assert decide(first.state, to_hear(text="she is fun"), given(private=private)).events


@pytest.mark.req("N12")
@pytest.mark.parametrize("silent", NEEDED)
def test_nothing_is_concluded_over_anybodys_head(silent: Any) -> None:
    """Child, family and organisation have each been heard, or have declined, before it is decided."""
    voices = [voice for voice in NEEDED if voice != silent]

    with pytest.raises(no.VoiceMissing) as refused:
        decide(a_case(a_running(a_due(*voices))), to_conclude(), given())

    assert refused.value.detail == silent


@pytest.mark.req("N12")
@pytest.mark.req("H2")
@pytest.mark.parametrize(("choice", "reason"), [("continue", "needs_time"), ("adjust", "works_in_part")])
def test_going_on_plans_the_next_evaluation(choice: Any, reason: str) -> None:
    """The goals were looked at one by one; it goes on, and the next conversation has its day."""
    decision = decide(a_case(a_running(a_due(*NEEDED))), to_conclude(decision=choice, reason=reason), given())

    assert after(decision) == a_concluded(decision=choice, reason=reason)
    assert decision.events == (
        told.EvaluationConcluded(
            evaluation_id=EVALUATION,
            agreement_id=AGREEMENT,
            organisation_id=ORGANISATION,
            decision=choice,
            reason=reason,
            attained=(told.GoalAttained(goal_id=GOAL, attainment="partly"),),
        ),
        tell_planned(DUE_ON, NEXT),
    )
    assert decision.private_values == (PrivateValue(CASE, f"note:{EVALUATION}", "bring a friend along"),)


@pytest.mark.req("H2")
@pytest.mark.parametrize(("choice", "reason"), [("stop", "no_effect"), ("complete", "goals_reached")])
def test_stopping_plans_nothing_more(choice: Any, reason: str) -> None:
    """The courage to stop what does not work, and to be done when the goals are reached."""
    case = a_case(a_running(a_planned(*NEEDED)))

    decision = decide(case, to_conclude(decision=choice, reason=reason), given())

    assert [type(event) for event in decision.events] == [told.EvaluationConcluded]
    assert {timer.due_at for timer in decision.timers} == {None}


@pytest.mark.req("N12")
@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"attained": {}}, no.GoalUnjudged),
        ({"attained": {GOAL: "reached", CASE: "reached"}}, no.GoalUnjudged),
        ({"reason": "no_effect"}, no.ReasonUnknown),
        ({"decision": "adjust", "reason": "it_works"}, no.ReasonUnknown),
        ({"decision": "stop", "reason": "it_works"}, no.ReasonUnknown),
    ],
)
def test_a_conclusion_judges_every_goal_and_gives_its_reason(
    changes: dict[str, Any], refusal: type[Refused]
) -> None:
    """Each goal of the agreement and no other; each decision with a reason of its own kind."""
    with pytest.raises(refusal):
        decide(a_case(a_running(a_due(*NEEDED))), to_conclude(**changes), given())


def test_a_repeated_conclusion_changes_nothing() -> None:
    """Said twice it is already so; said otherwise it is refused."""
    case = a_case(a_running(a_concluded()))

    assert decide(case, to_conclude(), given()) == Decision(case)
    with pytest.raises(InvalidTransition):
        decide(case, to_conclude(reason="needs_time"), given())


def test_the_end_cancels_what_was_to_be_held() -> None:
    """When the agreement ends nothing more is evaluated; what was concluded and measured stays."""
    evaluations = {EVALUATION: a_concluded(), NEXT: Planned(number=2, due_on=LAST_DAY)}
    case = a_case(a_running(evaluations=evaluations, measured=measured("start")))

    decision = decide(case, ended(), given())
    over = decision.state.collaborations[AGREEMENT]

    assert over == an_over(
        measured=measured("start"),
        evaluations={EVALUATION: a_concluded(), NEXT: Cancelled(number=2, due_on=LAST_DAY)},
    )
    assert decision.events == ()
    assert {(timer.ref, timer.due_at) for timer in decision.timers} == {(NEXT, None)}
    assert decide(decision.state, in_force(version=2), given()) == Decision(decision.state)
    assert decide(decision.state, ended("stopped"), given()) == Decision(decision.state)


def test_an_agreement_that_never_began_is_not_followed() -> None:
    """A meeting that never came to an agreement leaves nothing to evaluate."""
    assert decide(a_case(), ended(), given()) == Decision(a_case())


_FITS = {
    ("planned", "HearVoice"): Planned,
    ("due", "HearVoice"): Due,
    ("missed", "HearVoice"): Missed,
    ("planned", "Conclude"): Concluded,
    ("due", "Conclude"): Concluded,
    ("missed", "Conclude"): Concluded,
    ("concluded", "Conclude"): Concluded,
    ("planned", "TakeMeasurement"): Planned,
    ("due", "TakeMeasurement"): Due,
    ("missed", "TakeMeasurement"): Missed,
    ("concluded", "TakeMeasurement"): Concluded,
}


@pytest.mark.parametrize(
    "collaboration", collaborations(), ids=lambda one: status_of(one.evaluations[EVALUATION])
)
@pytest.mark.parametrize("command", commands(), ids=lambda command: type(command).__name__)
def test_every_step_fits_or_is_refused(collaboration: Collaboration, command: Command) -> None:
    """Each pair of state and command leads to one state, or is refused."""
    pair = (status_of(collaboration.evaluations[EVALUATION]), type(command).__name__)
    expected = _FITS.get(pair)

    if expected is None:
        with pytest.raises((InvalidTransition, no.StartPast)):
            decide(a_case(collaboration), command, given())
    else:
        assert isinstance(after(decide(a_case(collaboration), command, given())), expected)


@pytest.mark.parametrize("command", commands(), ids=lambda command: type(command).__name__)
def test_what_is_not_there_is_missing(command: Command) -> None:
    """A step on a collaboration that nobody has heard of finds nothing."""
    with pytest.raises(NotFound):
        decide(None, command, given())
    with pytest.raises(NotFound):
        decide(a_case(), command, given())


@pytest.mark.parametrize("heard", news(), ids=lambda event: type(event).__name__)
def test_news_never_raise(heard: Any) -> None:
    """Whatever is heard fits, or leaves the collaboration as it is."""
    for collaboration in (None, *collaborations()):
        assert isinstance(decide(a_case(collaboration), heard, given()).state, Case)
    assert isinstance(decide(None, heard, given()).state, Case)


def test_no_word_or_score_about_a_child_leaves_what_lies_sealed() -> None:
    """State, events and timers hold ids, dates and codes; words and scores lie under the case's key."""
    case = a_case(a_running(a_due(*NEEDED)))
    steps = (
        decide(case, to_hear(), given()),
        decide(case, to_hear("family", text="sleeps better"), given(GUARDIAN)),
        decide(case, to_conclude(), given()),
        decide(case, to_measure(scores={"mental_wellbeing": 4.125}), given()),
    )

    for decision in steps:
        shown = msgspec.json.encode(decision.state).decode()
        shown += "".join(event.model_dump_json() for event in decision.events) + str(decision.timers)
        assert not [secret for secret in SECRETS if secret in shown]
        assert {seal.subject for seal in decision.private_values} == {CASE}


@pytest.mark.parametrize("collaboration", collaborations())
def test_a_case_survives_the_way_to_the_database(collaboration: Collaboration) -> None:
    """What is stored is read back as the same value."""
    case = a_case(msgspec.structs.replace(collaboration, measured=measured("start")))

    assert msgspec.json.decode(msgspec.json.encode(case), type=SERVICE.state) == case
