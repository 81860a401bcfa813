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
    context,
    custody_recorded,
    ended,
    granted,
    in_force,
    lost,
)

Dated = tuple[datetime, Event]

# What each service may send, in its own order; a story takes any part of it that begins at the beginning.
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
def stories(draw: st.DrawFn) -> tuple[list[Dated], list[Dated]]:
    """Return the same events, each with its own time, in two orders that keep the order within a source."""
    sources = [_beginning(draw, source) for source in SOURCES.values()]
    return _woven(draw, sources), _woven(draw, sources)


@each(story=stories(), collaboration=st.sampled_from((None, *collaborations())), opened=st.booleans())
def test_the_order_of_the_topics_leaves_no_trace(
    story: tuple[list[Dated], list[Dated]], collaboration: Collaboration | None, *, opened: bool
) -> None:
    """Referral, consent and agreement arrive in any interleaving: case and events end the same."""
    one, other = story
    before = a_case(collaboration) if opened else None

    assert _applied(one, before) == _applied(other, before)


def _applied(story: Sequence[Dated], case: Case | None) -> tuple[Case | None, list[Event]]:
    events: list[Event] = []
    for at, event in story:
        decision = decide(case, event, context(now=at))
        case = decision.state
        events.extend(decision.events)
    return case, events


def _beginning(draw: st.DrawFn, source: Sequence[Sequence[Event]]) -> Sequence[Dated]:
    events = draw(st.sampled_from(source))
    sent = events[: draw(st.integers(0, len(events)))]
    days = sorted(draw(st.lists(st.integers(0, 200), min_size=len(sent), max_size=len(sent))))
    return [(NOW + timedelta(days=day), event) for day, event in zip(days, sent, strict=True)]


def _woven(draw: st.DrawFn, sources: Sequence[Sequence[Dated]]) -> list[Dated]:
    order = [n for n, source in enumerate(sources) for _ in source]
    rest = [iter(source) for source in sources]
    return [next(rest[n]) for n in draw(st.permutations(order))]
