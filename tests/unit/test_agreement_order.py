"""Whichever order the topics are read in, a case's agreements end the same."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from hypothesis import given as each
from hypothesis import strategies as st

from contracts.agreement import AgreementEnded
from contracts.event import Event
from services.agreement.domain.lifecycle import decide
from services.agreement.domain.states import Agreement, Case
from tests.examples_agreement import (
    NOW,
    a_case,
    accepted,
    agreements,
    an_adjustable,
    case_opened,
    concluded,
    context,
    custody_recorded,
    granted,
    lost,
    recalled,
    withdrawn,
)

Dated = tuple[datetime, Event]

# What each service may send, in its own order; a story takes any part of it that begins at the beginning.
SOURCES: Final[dict[str, Sequence[Sequence[Event]]]] = {
    "referral": (
        (case_opened(), accepted(), withdrawn()),
        (case_opened(), accepted(), recalled()),
        (case_opened(), accepted(), recalled(), withdrawn()),
    ),
    "consent": (
        (custody_recorded(), granted(), lost(), granted()),
        (granted(), custody_recorded(), granted(NOW + timedelta(days=30))),
        (custody_recorded(), lost()),
    ),
    "evaluation": (
        (concluded(), concluded("adjust", "works_in_part"), concluded("complete", "goals_reached")),
        (concluded("stop", "no_effect"),),
    ),
}


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[Dated], list[Dated]]:
    """Return the same events, each with its own time, in two orders that keep the order within a source."""
    sources = [_beginning(draw, source) for source in SOURCES.values()]
    return _woven(draw, sources), _woven(draw, sources)


@each(story=stories(), agreement=st.sampled_from((None, *agreements()[:4], an_adjustable("family"))))
def test_the_order_of_the_topics_leaves_no_trace(
    story: tuple[list[Dated], list[Dated]], agreement: Agreement | None
) -> None:
    """Referral, consent and evaluation arrive in any interleaving: the agreement ends the same."""
    one, other = story

    first, first_events = _applied(one, agreement)
    second, second_events = _applied(other, agreement)

    assert first == second
    assert _ends(first_events) == _ends(second_events) <= 1


def _applied(story: Sequence[Dated], agreement: Agreement | None) -> tuple[Case, list[Event]]:
    case = a_case(agreement)
    events: list[Event] = []
    for at, event in story:
        decision = decide(case, event, context(now=at))
        case = decision.state
        events.extend(decision.events)
    return case, events


def _ends(events: Sequence[Event]) -> int:
    return sum(isinstance(event, AgreementEnded) for event in events)


def _beginning(draw: st.DrawFn, source: Sequence[Sequence[Event]]) -> Sequence[Dated]:
    events = draw(st.sampled_from(source))
    sent = events[: draw(st.integers(0, len(events)))]
    hours = sorted(draw(st.lists(st.integers(0, 96), min_size=len(sent), max_size=len(sent))))
    return [(NOW + timedelta(hours=hour), event) for hour, event in zip(hours, sent, strict=True)]


def _woven(draw: st.DrawFn, sources: Sequence[Sequence[Dated]]) -> list[Dated]:
    order = [n for n, source in enumerate(sources) for _ in source]
    rest = [iter(source) for source in sources]
    return [next(rest[n]) for n in draw(st.permutations(order))]
