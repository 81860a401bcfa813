"""Lifecycle of a referral: each pair of state and command, and of state and event."""

from collections.abc import Iterator
from typing import Any, Final, TypeAlias, get_args

import msgspec
import pytest

from contracts.event import Event
from services.kernel.decider.decision import Decision, TimerFired
from services.kernel.decider.lifecycle import Lifecycle, Row
from services.kernel.errors import InvalidTransition, NotFound, Refused
from services.referral.domain import lifecycle
from services.referral.domain.commands import (
    AcceptReferral,
    Command,
    DeclineReferral,
    OfReferral,
    RecallReferral,
    SeeReferral,
    SendReferral,
)
from services.referral.domain.lifecycle import decide
from services.referral.domain.refusals import CaseExists
from services.referral.domain.states import (
    Accepted,
    Case,
    Lost,
    Offer,
    Referral,
    State,
)
from tests.examples_referral import (
    KERTEMINDE,
    NOW,
    OFFER,
    REFERRAL,
    a_case,
    a_consent,
    a_context,
    a_plan,
    a_sent,
    adopted,
    an_offer,
    consent_of,
    consumed_events,
    document_triggers,
    documents,
    fired_timers,
    granted,
    published,
    referral_commands,
    referrals,
    to_open_case,
)

MACHINES: Final = lifecycle.LIFECYCLES[1:]

Trigger: TypeAlias = Command | Event | TimerFired


def status_of(referral: Referral) -> str:
    """Return the tag of a state."""
    return str(referral.__struct_config__.tag)


def row_of(machine: Lifecycle, state: object, trigger: Trigger) -> Row | None:
    """Return the row of a table that fits."""
    key = trigger.kind if isinstance(trigger, TimerFired) else type(trigger)
    return next((row for row in machine.rows if row.state is type(state) and row.trigger == key), None)


def transitions(referral: Referral) -> Iterator[tuple[Trigger, Row | None, type]]:
    """Apply every trigger to a referral, under each consent on record, and return where each leads.

    A refused command leads nowhere and is left out.
    """
    triggers = (*referral_commands(), *consumed_events(), granted(facts=("need",)), *fired_timers())
    for consent in (None, a_consent(), Lost("refused"), Lost("lapsed")):
        case = a_case(referral, consent)
        for trigger in triggers:
            try:
                reached = after(decide(case, trigger, a_context()))
            except Refused:
                continue
            yield trigger, row_of(lifecycle.REFERRAL, referral, trigger), type(reached)


def after(decision: Decision) -> Referral:
    """Return the referral as a decision leaves it."""
    case: Case = decision.state
    return case.referrals[REFERRAL]


def outcome_of(state: State, trigger: Any) -> str:
    """Return + where a command moves something, = where it was carried out before, . where it is refused."""
    try:
        decision = decide(state, trigger, a_context())
    except InvalidTransition:
        return "."
    return "=" if decision.state is state and not decision.events and not decision.others else "+"


# Each row is a status, each column a command, in the order of `referral_commands`.
ON_COMMAND = {
    #                    await, send, see, accept, decline, recall, confirm
    "drafted":          "+      .     .    .       .        +       .",
    "awaiting_consent": "=      .     .    .       .        +       .",
    "ready":            ".      +     .    .       .        +       .",
    "sent":             ".      =     +    +       +        +       .",
    "seen":             ".      .     =    +       +        +       .",
    "accepted":         ".      .     .    =       .        +       .",
    "under_way":        ".      .     .    .       .        +       .",
    "closed":           ".      .     .    .       .        .       .",
    "declined":         ".      .     .    .       =        .       .",
    "recalled":         ".      .     .    .       .        =       +",
    "withdrawn":        ".      .     .    .       .        .       +",
    "expired":          ".      .     .    .       .        .       .",
}  # fmt: skip


# Each row is a status, each column an event, in the order of `consumed_events`.
ON_EVENT = {
    #                    granted, lost, lapsed, in force, ended
    "drafted":          "=        =     =       =         =",
    "awaiting_consent": "+        +     +       =         =",
    "ready":            "=        +     +       =         =",
    "sent":             "=        +     +       =         =",
    "seen":             "=        +     +       =         =",
    "accepted":         "=        +     +       +         +",
    "under_way":        "=        +     +       =         +",
    "closed":           "=        +     +       =         =",
    "declined":         "=        =     =       =         =",
    "recalled":         "=        =     =       =         =",
    "withdrawn":        "=        =     =       =         =",
    "expired":          "=        =     =       =         =",
}  # fmt: skip


@pytest.mark.parametrize("referral", referrals(), ids=list(ON_COMMAND))
def test_each_command_fits_only_where_the_table_says_so(referral: Referral) -> None:
    """Each command in each state moves the referral, changes nothing, or is refused."""
    case = a_case(referral, consent_of(referral))

    outcomes = [outcome_of(case, command) for command in referral_commands()]

    assert outcomes == ON_COMMAND[str(referral.__struct_config__.tag)].split()


@pytest.mark.parametrize("referral", referrals(), ids=list(ON_EVENT))
def test_an_event_moves_a_referral_only_where_the_table_says_so(referral: Referral) -> None:
    """Each event in each state moves the referral or leaves it; none is refused."""
    case = a_case(referral, consent_of(referral))

    moved = [after(decide(case, event, a_context())) != referral for event in consumed_events()]

    assert ["+" if each else "=" for each in moved] == ON_EVENT[str(referral.__struct_config__.tag)].split()


@pytest.mark.parametrize("step", referral_commands())
def test_a_command_on_a_missing_referral_is_refused(step: OfReferral) -> None:
    """Neither a case nor a referral that does not exist can be moved."""
    with pytest.raises(NotFound):
        decide(None, step, a_context())
    with pytest.raises(NotFound):
        decide(a_case(), step, a_context())


def test_states_survive_the_database() -> None:
    """Each state reads back as it was written."""
    decoder = msgspec.json.Decoder(State)
    states = [a_case(referral, consent_of(referral)) for referral in referrals()]

    assert [decoder.decode(msgspec.json.encode(state)) for state in states] == states
    assert isinstance(decoder.decode(msgspec.json.encode(an_offer())), Offer)
    assert isinstance(
        after(decide(a_case(a_sent(), a_consent()), AcceptReferral(REFERRAL), a_context())), Accepted
    )


def test_a_timer_without_a_referral_changes_nothing() -> None:
    """A timer may fire after its referral or its state is gone."""
    fired = TimerFired("deadline", REFERRAL, NOW)

    assert decide(None, fired, a_context()) == Decision(None)
    assert decide(a_case(), fired, a_context()).events == ()
    assert a_plan().offer_id == OFFER
    assert KERTEMINDE.ref == "kerteminde/1"


def test_offers_and_models_of_the_directory_are_recorded() -> None:
    """Models and offers come from the directory; a new edition of an offer keeps its taken places."""
    offer = decide(None, published(), a_context()).state

    assert decide(None, adopted(), a_context()).state.model == "kerteminde"
    assert offer == an_offer(taken=0)
    assert decide(an_offer(taken=2), published(places=5), a_context()).state == an_offer(places=5, taken=2)


def test_the_examples_are_all_the_states() -> None:
    """Every member of the unions of states has its example, and every state stands in its table."""
    assert (
        {type(referral) for referral in referrals()}
        == set(get_args(Referral))
        == set(lifecycle.REFERRAL.states)
    )
    assert {type(document) for document in documents()} == set(get_args(State))
    assert {state for machine in MACHINES for state in machine.states} == set(get_args(State))


@pytest.mark.parametrize("referral", referrals(), ids=status_of)
def test_a_referral_moves_only_to_states_that_its_row_declares(referral: Referral) -> None:
    """Whatever the trigger and the consent on record: the state after it stands in the row."""
    for trigger, row, reached in transitions(referral):
        assert row is None or reached in row.to, f"{trigger} leads to {reached}"
        assert row is not None or reached is type(referral), f"{trigger} has no row"


def test_every_declared_target_is_reached() -> None:
    """No row declares a state that no example leads to."""
    reached = {
        (row.state, row.trigger, after)
        for referral in referrals()
        for _, row, after in transitions(referral)
        if row is not None
    }

    assert reached == {(row.state, row.trigger, after) for row in lifecycle.REFERRAL.rows for after in row.to}


@pytest.mark.parametrize("document", [None, *documents()], ids=lambda document: type(document).__name__)
def test_a_document_moves_only_to_states_that_its_row_declares(document: State | None) -> None:
    """A case, an offer, an organisation and a municipality follow their tables, and nothing else."""
    for trigger in document_triggers():
        row = next((row for machine in MACHINES if (row := row_of(machine, document, trigger))), None)
        try:
            after: State | None = decide(document, trigger, a_context()).state
        except (NotFound, Refused):
            assert row is None or isinstance(document, Case)
            continue
        assert type(after) in (row.to if row else {type(document)})
        assert row is not None or after is document


def test_a_case_is_opened_only_where_nothing_else_has_its_id() -> None:
    """The id of an offer, an organisation or a municipality is refused."""
    for document in documents()[2:]:
        with pytest.raises(CaseExists):
            decide(document, to_open_case(), a_context())


def test_the_table_names_the_commands_of_a_state() -> None:
    """What fits a state is read from its table."""
    assert lifecycle.REFERRAL.commands_in(a_sent()) == (
        SendReferral, SeeReferral, AcceptReferral, DeclineReferral, RecallReferral,
    )  # fmt: skip
