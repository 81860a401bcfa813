"""The trail: what it consumes, what it counts, and who may read it."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.event import SERVICES, AccessRefused, EventDropped, Looked, Ticked, WhyDropped, service_of
from contracts.registry import EVENTS
from services.audit.domain.access import authorize
from services.audit.domain.lifecycle import TRAIL as LIFECYCLE
from services.audit.domain.lifecycle import decide
from services.audit.domain.states import Trail
from services.audit.subscriptions import SUBSCRIBES_TO
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
    context,
    events,
    minute,
    refused,
    states,
    views_noted,
    was_read,
)

TRAIL = ReadRequest(("trail",))


def test_the_trail_of_a_stream_begins_with_its_first_event() -> None:
    """The first thing that happens in a case opens its trail."""
    assert decide(None, case_opened(), context()) == Decision(Trail(1, minute(0)))


def test_each_event_is_counted() -> None:
    """Changes, readings and refusals all count, and the trail sends no event itself."""
    trail: Trail | None = None
    for number, event in enumerate((case_opened(), views_noted(), was_read(), refused())):
        decision = decide(trail, event, context(now=minute(number)))
        trail = decision.state
        assert not decision.events

    assert trail == Trail(4, minute(3))


def test_every_step_ends_in_a_state_that_its_row_names() -> None:
    """Each event of any service opens a trail or adds to it, as the table says."""
    for before in (None, *states()):
        for event in events():
            rows = [row for row in LIFECYCLE.rows if (row.state, row.trigger) == (type(before), type(event))]
            assert [type(decide(before, event, context()).state) in row.to for row in rows] == [True]

    assert {type(state) for state in states()} == set(LIFECYCLE.states) == {Trail}


@settings(deadline=None, derandomize=True)
@given(st.permutations([(case_opened(), 0), (was_read(), 5), (refused(), 2), (views_noted(), 3)]))
def test_the_order_in_which_topics_are_consumed_leaves_no_trace(events_in: list[tuple[object, int]]) -> None:
    """Whichever topic is read first, the count and the last time are the same."""
    trail: Trail | None = None
    for event, number in events_in:
        trail = decide(trail, event, context(now=minute(number))).state

    assert trail == Trail(4, minute(5))


@pytest.mark.parametrize("state", [None, Trail(1, minute(0))])
@pytest.mark.parametrize("trigger", [TRAIL, TimerFired("any", CASE, minute(1)), "forget"])
def test_the_trail_takes_no_command(state: Trail | None, trigger: object) -> None:
    """No person can add to the trail, change it or take from it; it follows from what happened."""
    with pytest.raises(InvalidTransition):
        decide(state, trigger, context(an_auditor()))


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
def test_only_an_auditor_reads_the_trail(role: str) -> None:
    """Not even the operator of the installation may read who did what."""
    actor = Actor(CASEWORKER, role, TENANT)

    assert not authorize(None, TRAIL, context(actor))
    assert not authorize(Trail(1, minute(0)), TRAIL, context(actor))


def test_an_auditor_reads_the_trail_and_nothing_else() -> None:
    """An auditor may read and search the trail, and has no right to any other part or step."""
    trail = Trail(1, minute(0))

    assert authorize(trail, TRAIL, context(an_auditor()))
    assert authorize(trail, ReadRequest(("search", "by_actor", "by_time")), context(an_auditor()))
    assert not authorize(trail, ReadRequest(("trail", "child")), context(an_auditor()))
    assert not authorize(trail, case_opened(), context(an_auditor()))
    assert not authorize(trail, TRAIL, context(Actor(STRANGER, "", TENANT)))


def test_every_event_is_consumed() -> None:
    """Every event of every service reaches the trail, readings and refusals too; watermarks do not."""
    assert {row.trigger for row in LIFECYCLE.on_event} == set(SUBSCRIBES_TO)
    types = {event.type for event in SUBSCRIBES_TO}
    counted = {kind for kind, event in EVENTS.items() if not issubclass(event, Ticked)}
    personal = {kind for kind, event in EVENTS.items() if issubclass(event, Looked | AccessRefused)}

    assert types == counted
    assert personal <= types
    assert {service_of(kind) for kind in types} == set(SERVICES)


@pytest.mark.parametrize("service", ALL, ids=lambda service: service.name)
def test_every_consumer_has_an_event_for_what_was_discarded(service: Service) -> None:
    """Each such service has its own event of a discard, on its own topic, which the trail consumes."""
    if not service.subscribes_to:
        assert service.discarded_event is None
        return

    assert service.discarded_event is not None
    assert issubclass(service.discarded_event, EventDropped)
    assert service_of(service.discarded_event.type) == service.name
    assert service.discarded_event in SUBSCRIBES_TO


def test_every_reason_for_discarding_is_a_code() -> None:
    """So that it fits the event; a reason without a code is no reason to discard."""
    assert all(re.fullmatch(r"[a-z_]{3,64}", why) for why in WhyDropped)


@pytest.mark.parametrize("service", ALL, ids=lambda service: service.name)
def test_tables_are_rebuilt_where_nothing_is_lost_or_done_twice(service: Service) -> None:
    """The service that sends mails and the one that keeps the trail cannot rebuild; others name tables."""
    assert (service.rebuild is None) == (service.name in {"notify", "audit"})
    assert bool(service.tables) == (service.rebuild is not None)
