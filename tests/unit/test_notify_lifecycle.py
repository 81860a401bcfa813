"""The notify service's lifecycles: every trigger in every state, and where each step may lead."""

from collections.abc import Iterator
from typing import get_args

import pytest

from contracts.consent import ConsentTicked
from contracts.directory import DepartmentRegistered, OrganisationJoined
from contracts.event import Event
from services.kernel.decider.lifecycle import Row
from services.kernel.errors import InvalidTransition, NotFound, ProblemError
from services.notify.domain.commands import ReadNotice, RecordContact, RecordMailOutcome
from services.notify.domain.lifecycle import CASE as CASE_LIFECYCLE
from services.notify.domain.lifecycle import LIFECYCLES, MAIL, NOTICE, decide
from services.notify.domain.lifecycle import PARTIES as PARTIES_LIFECYCLE
from services.notify.domain.states import Case, Mail, Parties, Reading, Recipient, State
from services.notify.subscriptions import SUBSCRIBES_TO
from tests.examples_notify import (
    MOTHER,
    PARTIES,
    REACHED,
    STRANGER,
    case_opened,
    context,
    department_registered,
    events,
    mail_outcomes,
    organisation_joined,
    states,
)

READING = ReadNotice(STRANGER)
CONTACT = RecordContact(MOTHER, "da", "someone@example.org")


@pytest.mark.parametrize(
    ("state", "trigger", "answer"),
    [
        (None, case_opened(), Case),
        (None, CONTACT, Recipient),
        (None, READING, NotFound),
        (None, RecordMailOutcome(STRANGER, "delivered"), NotFound),
        (Case(), case_opened(), Case),
        (Case(), CONTACT, InvalidTransition),
        (Case(), READING, NotFound),
        (Case(), RecordMailOutcome(STRANGER, "delivered"), Case),
        (REACHED, case_opened(), Recipient),
        (REACHED, CONTACT, Recipient),
        (None, department_registered(), Parties),
        (PARTIES, organisation_joined(), Parties),
        (PARTIES, case_opened(), Parties),
        (PARTIES, CONTACT, InvalidTransition),
        (REACHED, READING, InvalidTransition),
        (REACHED, RecordMailOutcome(STRANGER, "delivered"), InvalidTransition),
    ],
)
def test_every_state_answers_every_input(state: object, trigger: object, answer: type) -> None:
    """What does not fit is refused, and an event never is."""
    if issubclass(answer, ProblemError):
        with pytest.raises(answer):
            decide(state, trigger, context())  # type: ignore[arg-type]  # the table holds both kinds of state
    else:
        assert isinstance(decide(state, trigger, context()).state, answer)  # type: ignore[arg-type]


def things_in(state: State | None, trigger: object) -> dict[str, object]:
    """Return the state of each lifecycle that a trigger may concern, by the lifecycle's name."""
    match state, trigger:
        case ((None | Parties()), DepartmentRegistered() | OrganisationJoined()):
            return {"parties": state}
        case ((None | Case()), Event()):
            return {"case": state}
        case ((None | Recipient()), RecordContact()):
            return {"contact": state}
        case Case(), ReadNotice() | RecordMailOutcome():
            notice = state.notices.get(trigger.notice_id)
            return {"notice": notice and notice.reading, "mail": notice and notice.mail}
    return {}


def rows_taken(before: State | None, trigger: object) -> Iterator[Row]:
    """Yield the row of a trigger in a state, if it is taken; fail where it leads to another state."""
    try:
        after = decide(before, trigger, context()).state
    except ProblemError:
        return
    reached = things_in(after, trigger)
    for lifecycle in LIFECYCLES:
        for row in lifecycle.rows:
            for name, state in things_in(before, trigger).items():
                if (name, row.state, row.trigger) == (lifecycle.name, type(state), type(trigger)):
                    assert type(reached[name]) in row.to, f"{name}: {row}"
                    yield row


def triggers_for(state: State | None) -> Iterator[object]:
    """Yield every event, and every command about each notice of a state and about one that is not there."""
    yield from events()
    yield CONTACT
    for notice_id in (STRANGER, *(state.notices if isinstance(state, Case) else ())):
        yield ReadNotice(notice_id)
        yield from mail_outcomes(notice_id)


def test_every_step_ends_in_a_state_that_its_row_names() -> None:
    """The tables say where each step may lead, and an example shows every row."""
    shown = [
        row
        for before in (None, *states())
        for trigger in triggers_for(before)
        for row in rows_taken(before, trigger)
    ]

    for lifecycle in LIFECYCLES:
        assert [row for row in lifecycle.rows if row not in shown] == []


def test_the_lifecycles_name_every_state() -> None:
    """No state of a notice or of a mail stands outside the tables, and every one has an example."""
    notices = [notice for state in states() if isinstance(state, Case) for notice in state.notices.values()]

    assert set(NOTICE.states) == set(get_args(Reading)) == {type(notice.reading) for notice in notices}
    assert set(MAIL.states) == set(get_args(Mail)) == {type(notice.mail) for notice in notices}
    assert {type(state) for state in states()} == set(get_args(State))


def test_every_event_that_is_consumed_stands_in_the_table() -> None:
    """An event of the subscriptions without a row would change nothing; the watermark alone has none."""
    consumed = set(SUBSCRIBES_TO) - {ConsentTicked}

    rows = (*CASE_LIFECYCLE.on_event, *PARTIES_LIFECYCLE.on_event)
    assert {row.trigger for row in rows} == consumed
    assert {type(event) for event in events()} == consumed
