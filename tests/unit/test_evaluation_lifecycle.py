"""The tables of the lifecycles of collaborations and evaluations, and what each state waits for."""

from typing import Any, Final, get_args

import pytest

from services.evaluation import api
from services.evaluation.domain.access import authorize
from services.evaluation.domain.commands import Command
from services.evaluation.domain.deadlines import NOBODY, timers_of, waiting, work_items_of
from services.evaluation.domain.lifecycle import COLLABORATION, decide
from services.evaluation.domain.lifecycle import EVALUATION as LIFECYCLE
from services.evaluation.domain.states import (
    NEEDED,
    Case,
    Collaboration,
    Evaluation,
    Open,
    Running,
    status_of,
)
from services.kernel.decider.decision import TimerFired
from services.kernel.errors import InvalidTransition, NotFound, Refused
from tests.examples_evaluation import (
    AGREEMENT,
    CASEWORKER,
    COORDINATOR,
    EVALUATION,
    GUARDIAN,
    KERTEMINDE,
    YOUNG_PERSON,
    a_case,
    a_due,
    a_missed,
    a_planned,
    a_running,
    an_over,
    collaborations,
    commands,
    consumed,
    context,
    in_force,
    measured,
    to_measure,
)
from tests.lifecycles import declared, targets

EXAMPLES: Final = (
    *collaborations(),
    a_running(a_planned()),
    a_running(a_due()),
    a_running(a_missed(), measured=measured("start")),
    an_over(measured=measured("start", "end")),
)
CASES: Final = (a_case(), *map(a_case, EXAMPLES))


def triggers(case: Case) -> tuple[Any, ...]:
    """Return one of each command and event, and the timers that the collaboration waits for."""
    collaboration = case.collaborations.get(AGREEMENT)
    timers = timers_of(case, collaboration, KERTEMINDE) if collaboration else ()
    fired = (TimerFired(one.kind, one.ref, one.due_at) for one in timers if one.due_at)
    return (*commands(), to_measure("end"), *consumed(), in_force(version=2, evaluate_every_days=30), *fired)


def moves() -> list[tuple[Case, Any, Case]]:
    """Return every transition of the examples: the case before, the trigger, the case after."""
    made: list[tuple[Case, Any, Case]] = []
    for case in CASES:
        for trigger in triggers(case):
            try:
                made.append((case, trigger, decide(case, trigger, context()).state))
            except (InvalidTransition, NotFound, Refused):
                continue
    return made


def evaluation_in(case: Case) -> Evaluation | None:
    """Return the first evaluation of a case."""
    collaboration = case.collaborations.get(AGREEMENT)
    return collaboration.evaluations.get(EVALUATION) if collaboration else None


def test_the_examples_and_the_tables_name_every_state() -> None:
    """A state that is added to a union stands in the tables and among the examples."""
    examples = {type(evaluation_in(a_case(one))) for one in collaborations()}

    assert set(LIFECYCLE.states) == set(get_args(Evaluation)) == examples
    assert set(COLLABORATION.states) == set(get_args(Collaboration)) == {type(one) for one in EXAMPLES}


def test_the_examples_the_tables_and_the_routes_name_every_command() -> None:
    """A command that is added to the union stands in a table, among the examples and behind a route."""
    all_commands = set(get_args(Command))
    rows = (*LIFECYCLE.on_command, *COLLABORATION.on_command)

    assert {row.trigger for row in rows} == all_commands == {type(one) for one in commands()}
    assert all_commands <= {one for one in vars(api).values() if isinstance(one, type)}


@pytest.mark.parametrize("command", commands(), ids=lambda command: type(command).__name__)
def test_every_command_may_be_given_by_somebody(command: Command) -> None:
    """Refused is the default: a command without a rule of access could never succeed."""
    actors = (CASEWORKER, COORDINATOR, GUARDIAN, YOUNG_PERSON)

    assert any(authorize(a_case(a_running()), command, context(actor)) for actor in actors)


def test_every_transition_leads_where_its_row_says() -> None:
    """Whatever a command, an event or a timer does, the tables declare it."""
    for before, trigger, after in moves():
        collaboration = before.collaborations.get(AGREEMENT)
        moved = type(after.collaborations.get(AGREEMENT))
        assert moved in targets(COLLABORATION, collaboration, trigger), trigger
        if evaluation := evaluation_in(before):
            assert type(evaluation_in(after)) in targets(LIFECYCLE, evaluation, trigger), trigger


def test_every_declared_transition_is_made_by_an_example() -> None:
    """No row promises a state that nothing leads to."""
    evaluations = {
        (type(evaluation_in(before)), _key(trigger), type(evaluation_in(after)))
        for before, trigger, after in moves()
    }
    running = {
        (type(before.collaborations.get(AGREEMENT)), _key(trigger), type(after.collaborations.get(AGREEMENT)))
        for before, trigger, after in moves()
    }

    assert set(declared(LIFECYCLE)) - evaluations == set()
    assert set(declared(COLLABORATION)) - running == set()


def _key(trigger: Any) -> Any:
    return trigger.kind.partition(":")[0] if isinstance(trigger, TimerFired) else type(trigger)


@pytest.mark.parametrize("collaboration", EXAMPLES)
def test_every_open_state_waits_for_somebody_until_a_day(collaboration: Collaboration) -> None:
    """The agreement's end ends the collaboration by itself; an evaluation is waited for by a day."""
    case = a_case(collaboration)
    waits = waiting(case, collaboration)

    assert waits or not isinstance(collaboration, Running)
    for evaluation in collaboration.evaluations.values():
        own = waiting(case, evaluation)
        assert bool(own) == isinstance(evaluation, Open)
        assert all(one.party != NOBODY for one in own)
        waits += own
    assert all(one.party and one.since and one.until for one in waits)


@pytest.mark.parametrize("evaluation", [a_planned(), a_due(), a_missed(*NEEDED)], ids=status_of)
def test_timers_and_work_items_are_those_of_the_waits(evaluation: Evaluation) -> None:
    """No timer fires, and nothing stands in a list, that the state does not wait for."""
    running = a_running(evaluation)
    case = a_case(running)
    waits = (*waiting(case, running), *waiting(case, evaluation))

    timers = {timer.kind.partition(":")[0] for timer in timers_of(case, running, KERTEMINDE)}
    assert timers == {one.what for one in waits if one.then}
    assert {item.what for item in work_items_of(case)} == {one.what for one in waits if one.party != NOBODY}
