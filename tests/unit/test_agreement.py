"""What holds for an agreement in each of its states."""

from typing import Any

import msgspec
import pytest

from services.agreement.app import SERVICE
from services.agreement.domain.commands import Command
from services.agreement.domain.lifecycle import decide
from services.agreement.domain.states import (
    Agreement,
    Case,
    Ended,
    InForce,
    Met,
    Proposed,
    status_of,
)
from services.kernel.errors import InvalidTransition, NotFound
from tests.examples_agreement import (
    CASE,
    GOAL,
    SECRETS,
    a_case,
    a_met,
    after,
    agreements,
    an_adjustable,
    an_in_force,
    commands,
    consumed,
    context,
    to_propose,
    to_report,
)

_FITS = {
    ("invited", "HoldMeeting"): Met,
    ("met", "HoldMeeting"): Met,
    ("proposed", "HoldMeeting"): Proposed,
    ("in_force", "HoldMeeting"): InForce,
    ("met", "Propose"): Proposed,
    ("proposed", "Propose"): Proposed,
    ("proposed", "Sign"): Proposed,
    ("in_force", "Sign"): InForce,
    ("in_force", "ReportProgress"): InForce,
    ("invited", "EndAgreement"): Ended,
    ("met", "EndAgreement"): Ended,
    ("proposed", "EndAgreement"): Ended,
    ("in_force", "EndAgreement"): Ended,
    ("ended", "EndAgreement"): Ended,
}


@pytest.mark.parametrize("agreement", agreements(), ids=status_of)
@pytest.mark.parametrize("command", commands(), ids=lambda command: type(command).__name__)
def test_every_step_fits_or_is_refused(agreement: Agreement, command: Command) -> None:
    """Each pair of state and command leads to one state, or is refused as coming at the wrong moment."""
    expected = _FITS.get((status_of(agreement), type(command).__name__))

    if expected is None:
        with pytest.raises(InvalidTransition):
            decide(a_case(agreement), command, context())
    else:
        assert isinstance(after(decide(a_case(agreement), command, context())), expected)


@pytest.mark.parametrize("command", commands(), ids=lambda command: type(command).__name__)
def test_what_is_not_there_is_missing(command: Command) -> None:
    """A command on an agreement that does not exist finds nothing."""
    with pytest.raises(NotFound):
        decide(None, command, context())
    with pytest.raises(NotFound):
        decide(a_case(), command, context())


@pytest.mark.parametrize("event", consumed(), ids=lambda event: type(event).__name__)
def test_an_event_never_raises(event: Any) -> None:
    """Each event fits, or leaves the agreement as it is."""
    for agreement in (None, *agreements(), an_adjustable("family")):
        assert isinstance(decide(a_case(agreement), event, context()).state, Case)
    assert isinstance(decide(None, event, context()).state, Case)


def test_no_word_about_a_person_leaves_the_private_values() -> None:
    """State, events and timers hold ids, dates and codes; words are kept under the case's key."""
    steps = (
        decide(a_case(a_met()), to_propose(cost="paid", payer="shared", cost_text="bus fares"), context()),
        decide(a_case(an_in_force()), to_report(), context()),
    )

    for decision in steps:
        shown = msgspec.json.encode(decision.state).decode()
        shown += "".join(event.model_dump_json() for event in decision.events) + str(decision.timers)
        assert not [secret for secret in SECRETS if secret in shown]
        assert {private.subject for private in decision.private_values} == {CASE}


@pytest.mark.parametrize("agreement", [*agreements(), an_adjustable("family")], ids=status_of)
def test_a_case_survives_the_way_to_the_database(agreement: Agreement) -> None:
    """What is stored is read back as the same value."""
    case = a_case(agreement, attained={GOAL: "reached"})

    assert msgspec.json.decode(msgspec.json.encode(case), type=SERVICE.state) == case
