"""Whichever order the topics are read in, a case's evaluations end the same."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final

from hypothesis import given as each
from hypothesis import strategies as st

from contracts.event import Event
from services.evaluation.domain.lifecycle import decide
from services.evaluation.domain.states import Case, Collaboration
from tests.examples_evaluation import (
    NOW,
    a_case,
    case_opened,
    collaborations,
    custody_recorded,
    ended,
    given,
    granted,
    in_force,
    lost,
)

Heard = tuple[datetime, Event]

# What each service may say, in its own order; a story takes any part of it that begins at the beginning.
SOURCES: Final[dict[str, Sequence[Sequence[Event]]]] = {
    "referral": ((case_opened(),),),
    "consent": (
        (custody_recorded(), granted(), lost(), granted()),
        (granted(), custody_recorded(), granted(NOW + timedelta(days=30))),
        (custody_recorded(), lost()),
    ),
    "agreement": (
        (in_force(), in_force(version=2, evaluate_every_days=30), ended()),
        (in_force(), in_force(version=2, ends_on=date(2027, 3, 9)), ended("consent_lost")),
        (ended("consent_lost"),),
    ),
}


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[Heard], list[Heard]]:
    """Return the same news, each with its own time, in two orders that keep the order within a source."""
    said = [_beginning(draw, source) for source in SOURCES.values()]
    return _woven(draw, said), _woven(draw, said)


@each(story=stories(), collaboration=st.sampled_from((None, *collaborations())), known=st.booleans())
def test_the_order_of_the_topics_leaves_no_trace(
    story: tuple[list[Heard], list[Heard]], collaboration: Collaboration | None, *, known: bool
) -> None:
    """Referral, consent and agreement are heard in any interleaving: case and events end the same."""
    one, other = story
    before = a_case(collaboration) if known else None

    assert _told(one, before) == _told(other, before)


def _told(story: Sequence[Heard], case: Case | None) -> tuple[Case | None, list[Event]]:
    events: list[Event] = []
    for at, event in story:
        decision = decide(case, event, given(now=at))
        case = decision.state
        events.extend(decision.events)
    return case, events


def _beginning(draw: st.DrawFn, source: Sequence[Sequence[Event]]) -> Sequence[Heard]:
    said = draw(st.sampled_from(source))
    told = said[: draw(st.integers(0, len(said)))]
    days = sorted(draw(st.lists(st.integers(0, 200), min_size=len(told), max_size=len(told))))
    return [(NOW + timedelta(days=day), event) for day, event in zip(days, told, strict=True)]


def _woven(draw: st.DrawFn, said: Sequence[Sequence[Heard]]) -> list[Heard]:
    turns = [n for n, each_said in enumerate(said) for _ in each_said]
    voices = [iter(each_said) for each_said in said]
    return [next(voices[n]) for n in draw(st.permutations(turns))]
