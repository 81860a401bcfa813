"""Whichever order the topics are read in, a case, its referral and its offer end the same."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from contracts.event import Event
from services.referral.domain.lifecycle import decide, related_streams
from services.referral.domain.states import Case, Referral, State
from tests.examples_referral import (
    CASE,
    OFFER,
    ORGANISATION,
    REFERRAL,
    a_case,
    a_context,
    adopted,
    an_offer,
    an_organisation,
    capacity,
    consent_of,
    custody_recorded,
    ended,
    granted,
    in_force,
    joined,
    lost,
    published,
    referrals,
    registered,
)

MUNICIPALITY: Final = UUID(int=0x440)

Delivery = tuple[UUID, Event]
World = dict[UUID, State | None]

# What each service may publish, in its own order; a story takes any part of it from the start on.
SOURCES: Final[dict[str, Sequence[Sequence[Delivery]]]] = {
    "consent": (
        ((CASE, custody_recorded()), (CASE, granted()), (CASE, lost("withdrawn"))),
        ((CASE, granted()), (CASE, custody_recorded()), (CASE, lost("expired"))),
        ((CASE, custody_recorded()), (CASE, lost("refused"))),
        ((CASE, lost("lapsed")),),
    ),
    "agreement": (
        ((CASE, in_force()), (CASE, ended())),
        ((CASE, ended("consent_lost")),),
    ),
    "directory": (
        (
            (MUNICIPALITY, adopted()),
            (MUNICIPALITY, registered()),
            (ORGANISATION, joined()),
            (OFFER, published()),
            (OFFER, capacity(1)),
            (OFFER, published(places=5)),
        ),
    ),
}


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[Delivery], list[Delivery]]:
    """Return the same events in two orders, each keeping the order within a source."""
    sequences = [_start_of(draw, source) for source in SOURCES.values()]
    return _interleaved(draw, sequences), _interleaved(draw, sequences)


@given(story=stories(), referral=st.sampled_from(referrals()), opened=st.booleans())
def test_the_order_of_the_topics_leaves_no_trace(
    story: tuple[list[Delivery], list[Delivery]], referral: Referral, *, opened: bool
) -> None:
    """Consent, agreement and directory are consumed in any interleaving: state and places end the same."""
    one, other = story

    assert _after(one, referral, opened=opened) == _after(other, referral, opened=opened)


def _after(story: Sequence[Delivery], referral: Referral, *, opened: bool) -> World:
    world: World = {OFFER: an_offer(taken=1), ORGANISATION: an_organisation()}
    if opened:
        world[CASE] = a_case(referral, consent_of(referral))
    for stream_id, event in story:
        state = world.get(stream_id)
        others = {other: world.get(other) for other in related_streams(state, event)}
        decision = decide(state, event, a_context(stream_id=stream_id, others=others))
        world[stream_id] = decision.state
        for other_id, other in decision.others.items():
            world[other_id] = other.state
    case = world.get(CASE)
    assert not isinstance(case, Case) or case.referrals.keys() == {REFERRAL}
    return world


def _start_of(draw: st.DrawFn, source: Sequence[Sequence[Delivery]]) -> Sequence[Delivery]:
    sequences = draw(st.sampled_from(source))
    return sequences[: draw(st.integers(0, len(sequences)))]


def _interleaved(draw: st.DrawFn, sequences: Sequence[Sequence[Delivery]]) -> list[Delivery]:
    order = [n for n, each in enumerate(sequences) for _ in each]
    queues = [iter(each) for each in sequences]
    return [next(queues[n]) for n in draw(st.permutations(order))]
