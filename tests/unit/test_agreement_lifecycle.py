"""The tables of an agreement's lifecycle, and what each state waits for."""

from typing import Any, Final, get_args

import pytest

from services.agreement import api
from services.agreement.domain.access import authorize
from services.agreement.domain.commands import Command
from services.agreement.domain.deadlines import NOBODY, timers_of, waiting, work_items_of
from services.agreement.domain.lifecycle import AGREEMENT as LIFECYCLE
from services.agreement.domain.lifecycle import decide
from services.agreement.domain.states import Agreement, Case, Cause, Ended, Open, status_of
from services.kernel.decider.decision import TimerFired
from services.kernel.errors import InvalidTransition, NotFound, Refused
from tests.examples_agreement import (
    AGREEMENT,
    CASEWORKER,
    COORDINATOR,
    GUARDIAN,
    KERTEMINDE,
    NOW,
    UPDATE_DUE,
    YOUNG_PERSON,
    a_case,
    a_proposed,
    agreements,
    an_adjustable,
    an_in_force,
    commands,
    consumed,
    context,
    terms,
)
from tests.lifecycles import declared, targets

EXAMPLES: Final = (
    *agreements(),
    a_proposed("municipality", "organisation", "family"),
    an_in_force(adjustable=True),
    an_adjustable("organisation", "family"),
)
CASES: Final = (a_case(), a_case(causes={AGREEMENT: Cause(NOW, "recalled")}), *map(a_case, EXAMPLES))


def triggers(case: Case) -> tuple[Any, ...]:
    """Return one of each command and event, and the timers that the agreement waits for."""
    agreement = case.agreements.get(AGREEMENT)
    timers = timers_of(case, AGREEMENT, agreement, KERTEMINDE) if agreement else ()
    fired = (TimerFired(one.kind, one.ref, one.due_at) for one in timers if one.due_at)
    return (*commands(), *consumed(), *fired)


def moves() -> list[tuple[object, Any, object]]:
    """Return every transition of the examples: the agreement before, the trigger, the agreement after."""
    made: list[tuple[object, Any, object]] = []
    for case in CASES:
        for trigger in triggers(case):
            try:
                after = decide(case, trigger, context()).state
            except (InvalidTransition, NotFound, Refused):
                continue
            made.append((case.agreements.get(AGREEMENT), trigger, after.agreements.get(AGREEMENT)))
    return made


def test_the_examples_and_the_tables_name_every_state() -> None:
    """A state that is added to the union stands in the tables and among the examples."""
    assert set(LIFECYCLE.states) == set(get_args(Agreement)) == {type(one) for one in agreements()}


def test_the_examples_the_tables_and_the_routes_name_every_command() -> None:
    """A command that is added to the union stands in a table, among the examples and behind a route."""
    all_commands = set(get_args(Command))

    assert {row.trigger for row in LIFECYCLE.on_command} == all_commands == {type(one) for one in commands()}
    assert all_commands <= {one for one in vars(api).values() if isinstance(one, type)}


@pytest.mark.parametrize("command", commands(), ids=lambda command: type(command).__name__)
def test_every_command_may_be_given_by_somebody(command: Command) -> None:
    """Refused is the default: a command without a rule of access could never succeed."""
    actors = (CASEWORKER, COORDINATOR, GUARDIAN, YOUNG_PERSON)

    assert any(authorize(a_case(an_in_force()), command, context(actor)) for actor in actors)


def test_every_transition_leads_where_its_row_says() -> None:
    """Whatever a command, an event or a timer does, the tables declare it."""
    for before, trigger, after in moves():
        assert type(after) in targets(LIFECYCLE, before, trigger), (before, trigger)


def test_every_declared_transition_is_made_by_an_example() -> None:
    """No row promises a state that nothing leads to."""
    made = {(type(before), _key(trigger), type(after)) for before, trigger, after in moves()}

    assert set(declared(LIFECYCLE)) - made == set()


def _key(trigger: Any) -> Any:
    return trigger.kind.partition(":")[0] if isinstance(trigger, TimerFired) else type(trigger)


def test_a_command_that_fits_no_row_is_refused_and_others_change_nothing() -> None:
    """The tables are all there is: no step stands outside of them."""
    for case in CASES:
        agreement = case.agreements.get(AGREEMENT)
        for trigger in triggers(case):
            if LIFECYCLE.step(agreement, trigger) is not None:
                continue
            if trigger in commands():
                with pytest.raises((InvalidTransition, NotFound)):
                    decide(case, trigger, context())
            else:
                assert decide(case, trigger, context()).state.agreements == case.agreements


@pytest.mark.parametrize("agreement", EXAMPLES, ids=status_of)
def test_every_open_state_waits_for_somebody_until_a_day(agreement: Agreement) -> None:
    """Without a day there is a named reason; what ends by itself names nobody; what is over waits no more."""
    waits = waiting(a_case(agreement), agreement)

    assert bool(waits) == isinstance(agreement, Open)
    assert all(one.party and one.since for one in waits)
    assert all((one.until is None) == bool(one.open_ended) for one in waits)
    assert all(one.then for one in waits if one.party == NOBODY)
    assert isinstance(agreement, Ended) or any(one.party != NOBODY for one in waits)


@pytest.mark.parametrize("agreement", EXAMPLES, ids=status_of)
def test_timers_and_work_items_are_those_of_the_waits(agreement: Agreement) -> None:
    """No timer fires, and nothing stands in a list, that the state does not wait for."""
    case = a_case(agreement)
    waits = waiting(case, agreement)

    timers = {timer.kind.partition(":")[0] for timer in timers_of(case, AGREEMENT, agreement, KERTEMINDE)}
    assert timers == {one.what for one in waits if one.then}
    assert {item.what for item in work_items_of(case)} == {one.what for one in waits if one.party != NOBODY}


def test_an_update_due_after_the_last_day_is_not_chased() -> None:
    """The agreement ends first."""
    short = an_in_force(terms=terms(ends_on=UPDATE_DUE))

    assert [timer.kind for timer in timers_of(a_case(short), AGREEMENT, short, KERTEMINDE)] == ["end"]
