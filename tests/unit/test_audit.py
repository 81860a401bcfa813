"""What the trail hears, what it counts, and who may read it."""

import re

import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from contracts.event import SERVICES, AccessRefused, EventDropped, Looked, Ticked, WhyDropped, service_of
from contracts.registry import EVENTS
from services.audit.domain import Trail, allows, decide
from services.audit.intake import HEARS
from services.kernel.decider.decision import Actor, Decision, ReadRequest, TimerFired
from services.kernel.decider.service import Service
from services.kernel.errors import InvalidTransition
from services.registry import ALL
from tests.examples_audit import (
    CASE,
    CASEWORKER,
    STRANGER,
    TENANT,
    an_auditor,
    case_opened,
    given,
    looked,
    minute,
    refused,
    views_noted,
)

TRAIL = ReadRequest(("trail",))


def test_the_trail_of_a_stream_begins_with_its_first_event() -> None:
    """The first thing that happens in a case opens its trail."""
    assert decide(None, case_opened(), given()) == Decision(Trail(1, minute(0)))


def test_each_event_is_counted() -> None:
    """Changes, looks and refusals all count, and nothing else is told to anybody."""
    trail: Trail | None = None
    for number, event in enumerate((case_opened(), views_noted(), looked(), refused())):
        decision = decide(trail, event, given(now=minute(number)))
        trail = decision.state
        assert not decision.events

    assert trail == Trail(4, minute(3))


@settings(deadline=None, derandomize=True)
@drawn(st.permutations([(case_opened(), 0), (looked(), 5), (refused(), 2), (views_noted(), 3)]))
def test_the_order_in_which_services_are_heard_leaves_no_trace(told: list[tuple[object, int]]) -> None:
    """Whichever topic is read first, the count and the last time are the same."""
    trail: Trail | None = None
    for event, number in told:
        trail = decide(trail, event, given(now=minute(number))).state

    assert trail == Trail(4, minute(5))


@pytest.mark.parametrize("state", [None, Trail(1, minute(0))])
@pytest.mark.parametrize("trigger", [TRAIL, TimerFired("any", CASE, minute(1)), "forget"])
def test_the_trail_takes_no_command(state: Trail | None, trigger: object) -> None:
    """Nobody can add to the trail, change it or take from it; it follows from what happened."""
    with pytest.raises(InvalidTransition):
        decide(state, trigger, given(an_auditor()))


@pytest.mark.parametrize(
    "role",
    [
        "caseworker",
        "coordinator",
        "guardian",
        "young_person",
        "leader",
        "operator",
        "administrator",
        "bridge_builder",
        "system",
    ],
)
def test_nobody_but_an_auditor_reads_the_trail(role: str) -> None:
    """Not even who runs the installation may read who did what."""
    actor = Actor(CASEWORKER, role, TENANT)

    assert not allows(None, TRAIL, given(actor))
    assert not allows(Trail(1, minute(0)), TRAIL, given(actor))


def test_an_auditor_reads_the_trail_and_nothing_else() -> None:
    """An auditor may read and search the trail, and has no right to any other part or step."""
    trail = Trail(1, minute(0))

    assert allows(trail, TRAIL, given(an_auditor()))
    assert allows(trail, ReadRequest(("search", "by_actor", "by_time")), given(an_auditor()))
    assert not allows(trail, ReadRequest(("trail", "child")), given(an_auditor()))
    assert not allows(trail, case_opened(), given(an_auditor()))
    assert not allows(trail, TRAIL, given(Actor(STRANGER, "", TENANT)))


def test_everything_that_can_happen_is_heard() -> None:
    """Every event of every service reaches the trail, every look and refusal among them; ticks do not."""
    types = {event.type for event in HEARS}
    counted = {kind for kind, event in EVENTS.items() if not issubclass(event, Ticked)}
    personal = {kind for kind, event in EVENTS.items() if issubclass(event, Looked | AccessRefused)}

    assert types == counted
    assert personal <= types
    assert {service_of(kind) for kind in types} == set(SERVICES)


@pytest.mark.parametrize("service", ALL, ids=lambda service: service.name)
def test_whoever_hears_anything_can_tell_what_was_given_up(service: Service) -> None:
    """Each such service has its own event of a drop, on its own topic, which the trail hears."""
    if not service.subscribes_to:
        assert service.discarded_event is None
        return

    assert service.discarded_event is not None
    assert issubclass(service.discarded_event, EventDropped)
    assert service_of(service.discarded_event.type) == service.name
    assert service.discarded_event in HEARS


def test_every_reason_for_giving_up_is_a_code() -> None:
    """So that it fits the event; what cannot be said by one of them is no reason to give up."""
    assert all(re.fullmatch(r"[a-z_]{3,64}", why) for why in WhyDropped)


@pytest.mark.parametrize("service", ALL, ids=lambda service: service.name)
def test_tables_are_rebuilt_where_nothing_is_lost_or_done_twice(service: Service) -> None:
    """Who sends mails, and who keeps the trail, has no way to rebuild; whoever has one names its tables."""
    assert (service.rebuild is None) == (service.name in {"notify", "audit"})
    assert bool(service.tables) == (service.rebuild is not None)
