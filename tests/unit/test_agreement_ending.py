"""Every way to the end of an agreement."""

from datetime import date, timedelta
from typing import Any

import pytest

from services.agreement.domain import refusals
from services.agreement.domain.lifecycle import decide
from services.agreement.domain.states import (
    Agreement,
    Cause,
    Ended,
)
from services.kernel.decider.decision import Decision, Timer
from tests.examples_agreement import (
    AGREEMENT,
    ENDS,
    GOAL,
    NOW,
    TODAY,
    a_case,
    accepted,
    after,
    agreements,
    an_ended,
    an_in_force,
    concluded,
    context,
    due,
    ended_event,
    fired,
    lost,
    recalled,
    to_end,
    withdrawn,
)


@pytest.mark.req("N3")
def test_an_agreement_ends_on_its_last_day() -> None:
    """A duration is part of each agreement; when it has passed, the collaboration is completed."""
    at = due(an_in_force())["end"]
    assert at is not None

    decision = decide(a_case(an_in_force()), fired("end", at), context(now=at + timedelta(days=3)))

    assert decision.events == (ended_event("completed", ENDS),)
    assert Timer("progress:reminder", AGREEMENT, None) in decision.timers


@pytest.mark.req("H2")
@pytest.mark.parametrize("decision", ["stop", "complete"])
def test_an_evaluation_can_end_an_agreement(decision: str) -> None:
    """The courage to stop what does not work: the agreement ends for the reason that was given."""
    ended = decide(a_case(an_in_force()), concluded(decision, "no_effect"), context())

    assert after(ended) == an_ended("no_effect")
    assert ended.events == (ended_event("no_effect"),)
    assert ended.state.attained == {GOAL: "partly"}


def test_going_on_as_it_is_keeps_the_agreement() -> None:
    """An evaluation that decides to continue leaves its judgement of the goals, and nothing else."""
    decision = decide(a_case(an_in_force()), concluded(), context())

    assert decision == Decision(a_case(an_in_force(), attained={GOAL: "partly"}))


@pytest.mark.parametrize("agreement", [one for one in agreements() if not isinstance(one, Ended)])
@pytest.mark.parametrize(
    ("event", "reason"), [(lost(), "consent_lost"), (withdrawn(), "consent_lost"), (recalled(), "recalled")]
)
def test_a_lost_consent_ends_it_once(agreement: Agreement, event: Any, reason: str) -> None:
    """The first of the events ends the agreement; the second changes neither reason nor day."""
    decision = decide(a_case(agreement), event, context())
    again = decide(decision.state, lost(), context(now=NOW + timedelta(days=1)))

    ended = after(decision)
    assert isinstance(ended, Ended)
    assert (ended.reason, ended.ended_on) == (reason, TODAY)
    assert decision.events == (ended_event(reason),)
    assert again == Decision(decision.state)
    assert all(timer.due_at is None for timer in decision.timers)


def test_the_end_may_arrive_before_the_beginning() -> None:
    """A consent lost while the acceptance was under way: no party is invited, and the offer is free."""
    early = decide(a_case(), lost(), context())

    decision = decide(early.state, accepted(), context(now=NOW + timedelta(days=1)))

    assert early.events == ()
    assert decision.events == (ended_event("consent_lost"),)
    assert after(decision) == an_ended("consent_lost", held_on=None, in_force_on=None, terms=None, signed=())


def test_the_earliest_cause_is_the_reason() -> None:
    """When the municipality ended it first, a consent withdrawn later changes nothing, and the other way."""
    ended = decide(a_case(an_in_force()), to_end(), context())
    later = decide(ended.state, lost(), context(now=NOW + timedelta(days=1)))
    sooner = decide(ended.state, lost(), context(now=NOW - timedelta(days=1)))

    assert after(later) == an_ended()
    assert after(sooner) == an_ended("consent_lost", ended_on=date(2026, 3, 1))
    assert (later.events, sooner.events) == ((), ())
    assert sooner.state.causes == {AGREEMENT: Cause(NOW - timedelta(days=1), "consent_lost")}


@pytest.mark.parametrize("agreement", [one for one in agreements() if not isinstance(one, Ended)])
def test_an_end_is_always_open_and_always_has_a_reason(agreement: Agreement) -> None:
    """Nobody is held in a collaboration; why it ends is said in a reason of the model."""
    decision = decide(a_case(agreement), to_end("family_stopped"), context())

    assert isinstance(after(decision), Ended)
    assert decision.events == (ended_event("family_stopped"),)
    with pytest.raises(refusals.ReasonUnknown):
        decide(a_case(agreement), to_end("bored"), context())
