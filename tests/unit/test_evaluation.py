"""What holds for a collaboration in each of its states."""

from typing import Any

import msgspec
import pytest

from services.evaluation.app import SERVICE
from services.evaluation.domain import refusals
from services.evaluation.domain.commands import Command
from services.evaluation.domain.lifecycle import decide
from services.evaluation.domain.states import (
    NEEDED,
    Case,
    Collaboration,
    Concluded,
    Due,
    Missed,
    Planned,
    status_of,
)
from services.kernel.errors import InvalidTransition, NotFound
from tests.examples_evaluation import (
    CASE,
    EVALUATION,
    GUARDIAN,
    SECRETS,
    a_case,
    a_due,
    a_running,
    after,
    collaborations,
    commands,
    consumed,
    context,
    measured,
    to_conclude,
    to_hear,
    to_measure,
)

_FITS = {
    ("planned", "HearVoice"): Planned,
    ("due", "HearVoice"): Due,
    ("missed", "HearVoice"): Missed,
    ("planned", "Conclude"): Concluded,
    ("due", "Conclude"): Concluded,
    ("missed", "Conclude"): Concluded,
    ("concluded", "Conclude"): Concluded,
    ("planned", "TakeMeasurement"): Planned,
    ("due", "TakeMeasurement"): Due,
    ("missed", "TakeMeasurement"): Missed,
    ("concluded", "TakeMeasurement"): Concluded,
}


@pytest.mark.parametrize(
    "collaboration", collaborations(), ids=lambda one: status_of(one.evaluations[EVALUATION])
)
@pytest.mark.parametrize("command", commands(), ids=lambda command: type(command).__name__)
def test_every_step_fits_or_is_refused(collaboration: Collaboration, command: Command) -> None:
    """Each pair of state and command leads to one state, or is refused."""
    pair = (status_of(collaboration.evaluations[EVALUATION]), type(command).__name__)
    expected = _FITS.get(pair)

    if expected is None:
        with pytest.raises((InvalidTransition, refusals.StartPast)):
            decide(a_case(collaboration), command, context())
    else:
        assert isinstance(after(decide(a_case(collaboration), command, context())), expected)


@pytest.mark.parametrize("command", commands(), ids=lambda command: type(command).__name__)
def test_what_is_not_there_is_missing(command: Command) -> None:
    """A command on a collaboration that does not exist finds nothing."""
    with pytest.raises(NotFound):
        decide(None, command, context())
    with pytest.raises(NotFound):
        decide(a_case(), command, context())


@pytest.mark.parametrize("event", consumed(), ids=lambda event: type(event).__name__)
def test_an_event_never_raises(event: Any) -> None:
    """Each event fits, or leaves the collaboration as it is."""
    for collaboration in (None, *collaborations()):
        assert isinstance(decide(a_case(collaboration), event, context()).state, Case)
    assert isinstance(decide(None, event, context()).state, Case)


def test_no_word_or_score_about_a_child_leaves_the_private_values() -> None:
    """State, events and timers hold ids, dates and codes; words and scores are kept under the case's key."""
    case = a_case(a_running(a_due(*NEEDED)))
    steps = (
        decide(case, to_hear(), context()),
        decide(case, to_hear("family", text="sleeps better"), context(GUARDIAN)),
        decide(case, to_conclude(), context()),
        decide(case, to_measure(scores={"mental_wellbeing": 4.125}), context()),
    )

    for decision in steps:
        shown = msgspec.json.encode(decision.state).decode()
        shown += "".join(event.model_dump_json() for event in decision.events) + str(decision.timers)
        assert not [secret for secret in SECRETS if secret in shown]
        assert {private.subject for private in decision.private_values} == {CASE}


@pytest.mark.parametrize("collaboration", collaborations())
def test_a_case_survives_the_way_to_the_database(collaboration: Collaboration) -> None:
    """What is stored is read back as the same value."""
    case = a_case(msgspec.structs.replace(collaboration, measured=measured("start")))

    assert msgspec.json.decode(msgspec.json.encode(case), type=SERVICE.state) == case
