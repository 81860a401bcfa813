"""The conversation of an evaluation: voices are put on record, and the parties decide."""

from typing import Any

import pytest

from contracts import evaluation as contract
from services.evaluation.domain import refusals
from services.evaluation.domain.lifecycle import decide
from services.evaluation.domain.states import (
    NEEDED,
    Planned,
    Spoken,
)
from services.kernel.decider.decision import Decision, PrivateValue
from services.kernel.errors import InvalidTransition, Refused
from tests.examples_evaluation import (
    AGREEMENT,
    CASE,
    CASEWORKER,
    DUE_ON,
    EVALUATION,
    GOAL,
    GUARDIAN,
    LAST_DAY,
    MOTHER,
    NEXT,
    ORGANISATION,
    TODAY,
    a_case,
    a_concluded,
    a_due,
    a_missed,
    a_planned,
    a_running,
    after,
    context,
    planned_event,
    to_conclude,
    to_hear,
)


@pytest.mark.req("N12")
def test_a_missed_evaluation_can_still_be_concluded() -> None:
    """Late is better than never: the voices count, and the next one that is planned stays."""
    evaluations = {EVALUATION: a_missed(*NEEDED), NEXT: Planned(number=2, due_on=LAST_DAY)}
    case = a_case(a_running(evaluations=evaluations))

    decision = decide(case, to_conclude(), context())

    assert after(decision) == a_concluded()
    assert after(decision, NEXT) == evaluations[NEXT]
    assert [type(event) for event in decision.events] == [contract.EvaluationConcluded]


@pytest.mark.req("N12")
@pytest.mark.req("H1")
def test_each_voice_is_put_on_record_for_itself() -> None:
    """The child, then the mother, then the father: each speaks separately, and none writes over another."""
    child = decide(a_case(a_running(a_due())), to_hear(), context())
    mother = decide(child.state, to_hear("family", text="sleeps better"), context(GUARDIAN))

    assert child.events == (contract.VoiceHeard(evaluation_id=EVALUATION, voice="child", answer="heard"),)
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
    """Declining is an answer; a person who changes their mind speaks later, and the later words count."""
    declined = decide(a_case(a_running(a_due())), to_hear(answer="declined"), context())
    again = decide(
        declined.state, to_hear(answer="declined"), context(private={declined.private_values[0].name: ""})
    )
    spoke = decide(declined.state, to_hear(), context())

    assert declined.private_values[0].value == ""
    assert again == Decision(declined.state)
    assert [(one.voice, one.answer) for one in after(spoke).voices] == [("child", "heard")]
    with pytest.raises(refusals.WordsMissing):
        decide(a_case(a_running(a_due())), to_hear(text=" "), context())


def test_the_same_words_are_put_on_record_once() -> None:
    """The same words again change nothing; other words replace them."""
    first = decide(a_case(a_running(a_due())), to_hear(), context())
    private = {first.private_values[0].name: first.private_values[0].value}

    assert decide(first.state, to_hear(), context(private=private)) == Decision(first.state)
    assert decide(first.state, to_hear(text="she is fun"), context(private=private)).events


@pytest.mark.req("N12")
@pytest.mark.parametrize("silent", NEEDED)
def test_nothing_is_concluded_over_anybodys_head(silent: Any) -> None:
    """Child, family and organisation have each been heard, or have declined, before it is decided."""
    voices = [voice for voice in NEEDED if voice != silent]

    with pytest.raises(refusals.VoiceMissing) as refused:
        decide(a_case(a_running(a_due(*voices))), to_conclude(), context())

    assert refused.value.detail == silent


@pytest.mark.req("N12")
@pytest.mark.req("H2")
@pytest.mark.parametrize(("choice", "reason"), [("continue", "needs_time"), ("adjust", "works_in_part")])
def test_going_on_plans_the_next_evaluation(choice: Any, reason: str) -> None:
    """The goals were judged one by one; it goes on, and the next conversation has its day."""
    decision = decide(
        a_case(a_running(a_due(*NEEDED))), to_conclude(decision=choice, reason=reason), context()
    )

    assert after(decision) == a_concluded(decision=choice, reason=reason)
    assert decision.events == (
        contract.EvaluationConcluded(
            evaluation_id=EVALUATION,
            agreement_id=AGREEMENT,
            organisation_id=ORGANISATION,
            decision=choice,
            reason=reason,
            attained=(contract.GoalAttained(goal_id=GOAL, attainment="partly"),),
        ),
        planned_event(DUE_ON, NEXT),
    )
    assert decision.private_values == (PrivateValue(CASE, f"note:{EVALUATION}", "bring a friend along"),)


@pytest.mark.req("H2")
@pytest.mark.parametrize(("choice", "reason"), [("stop", "no_effect"), ("complete", "goals_reached")])
def test_stopping_plans_nothing_more(choice: Any, reason: str) -> None:
    """The courage to stop what does not work, and to be done when the goals are reached."""
    case = a_case(a_running(a_planned(*NEEDED)))

    decision = decide(case, to_conclude(decision=choice, reason=reason), context())

    assert [type(event) for event in decision.events] == [contract.EvaluationConcluded]
    assert {timer.due_at for timer in decision.timers} == {None}


@pytest.mark.req("N12")
@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"attained": {}}, refusals.GoalUnjudged),
        ({"attained": {GOAL: "reached", CASE: "reached"}}, refusals.GoalUnjudged),
        ({"reason": "no_effect"}, refusals.ReasonUnknown),
        ({"decision": "adjust", "reason": "it_works"}, refusals.ReasonUnknown),
        ({"decision": "stop", "reason": "it_works"}, refusals.ReasonUnknown),
    ],
)
def test_a_conclusion_judges_every_goal_and_gives_its_reason(
    changes: dict[str, Any], refusal: type[Refused]
) -> None:
    """Each goal of the agreement and no other; each decision with a reason of its own kind."""
    with pytest.raises(refusal):
        decide(a_case(a_running(a_due(*NEEDED))), to_conclude(**changes), context())


def test_a_repeated_conclusion_changes_nothing() -> None:
    """The same again is already so; another one is refused."""
    case = a_case(a_running(a_concluded()))

    assert decide(case, to_conclude(), context()) == Decision(case)
    with pytest.raises(InvalidTransition):
        decide(case, to_conclude(reason="needs_time"), context())
