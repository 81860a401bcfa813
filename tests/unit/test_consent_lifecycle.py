"""State machines of consent: every answer at every moment, declared targets, what each state waits for."""

from datetime import date
from typing import Any, get_args

import pytest

from contracts import consent as events
from contracts.event import Event
from contracts.referral import CaseClosed, ReferralClosed
from services.consent.domain.commands import ConfirmCustody
from services.consent.domain.deadlines import waiting
from services.consent.domain.lifecycle import CASE as CASE_MACHINE
from services.consent.domain.lifecycle import COMMANDS, CONSENT, ENDS, PERMISSION
from services.consent.domain.states import Case, Consent, Permission
from services.consent.subscriptions import SUBSCRIBES_TO
from services.kernel.decider.deadlines import Waiting
from services.kernel.decider.decision import TimerFired
from services.kernel.errors import InvalidTransition, NotFound, ProblemError
from tests import examples_consent as ex
from tests.examples_consent import LAPSE_ON, LATER, OTHER_REFERRAL, a_consent_awaited, a_context, statuses
from tests.invariants import Observed, a_state_moves_only_to_a_declared_state
from tests.story import Story
from tests.subject_consent import CASES, STEPS, SUBJECT, a_case

decide = SUBJECT.service.decide
ENDED = ("refused", "withdrawn", "expired", "invalidated")
TRIGGERS: dict[str, Any] = {
    "yes": ex.a_yes(evidence="oral_minuted"),
    "own yes": ex.a_yes(),
    "confirmed": ex.a_confirmation(),
    "rejected": ex.a_rejection(),
    "custody confirmed": ConfirmCustody(),
    "no": ex.a_no(),
    "back": ex.a_withdrawal(),
    "opened": ex.a_case_opened(),
    "awaited": a_consent_awaited(),
    "awaited too": a_consent_awaited(OTHER_REFERRAL),
    "custody": ex.custody(),
    "mother alone": ex.custody(ex.the_mother()),
    "lapse": ex.a_lapse(),
    "expiry": ex.an_expiry(),
    "unconfirmed": ex.an_unconfirmed_end(),
    "reminder": TimerFired("confirm:reminder", ex.consent_id(), LATER),
    "age": ex.a_birthday_check().trigger,
    "case closed": CaseClosed(reason="x"),
    "recalled": ex.a_recall(),
    "declined": ex.a_decline(),
    "closed": ReferralClosed(referral_id=ex.REFERRAL, reason="x"),
}


@pytest.mark.parametrize(
    ("status", "answer", "becomes"),
    [
        ("requested", "yes", "minuted"),
        ("requested", "own yes", "given"),
        ("requested", "rejected", "requested"),
        ("requested", "no", "refused"),
        ("requested", "back", "refused"),
        ("minuted", "yes", "minuted"),
        ("minuted", "own yes", "given"),
        ("minuted", "rejected", "requested"),
        ("minuted", "no", "refused"),
        ("minuted", "back", "refused"),
        ("confirmed", "confirmed", "given"),
        ("given", "yes", "given"),
        ("given", "no", "withdrawn"),
        ("given", "back", "withdrawn"),
        *((ended, "yes", "") for ended in ENDED),
        *((ended, no, ended) for ended in ENDED for no in ("no", "back")),
    ],
)
def test_every_answer_at_every_moment(status: str, answer: str, becomes: str) -> None:
    """A no is always taken; a yes only while it is asked for; what is so already changes nothing."""
    by = ex.a_guardian() if answer == "own yes" else ex.a_caseworker()
    case, command, context = CASES[status], TRIGGERS[answer], a_context(LATER, by)
    before = statuses(case)[ex.MOTHER]

    if not becomes:
        with pytest.raises(InvalidTransition):
            decide(case, command, context)
        return
    decision = decide(case, command, context)

    assert statuses(decision.state)[ex.MOTHER] == becomes
    assert (decision.state is case) == (becomes == before)
    assert bool(decision.events) == (becomes != before)


def test_the_examples_cover_every_state() -> None:
    """A new state is seen by the tests of transitions, views and projections, or this fails."""
    found = {type(thing) for case in CASES.values() for _machine, thing in SUBJECT.things(case).values()}

    assert found == {*get_args(Consent), *get_args(Permission)}
    assert set(CONSENT.states) == set(get_args(Consent))
    assert set(PERMISSION.states) == set(get_args(Permission))


@pytest.mark.parametrize("name", STEPS)
def test_every_example_is_reached_by_a_story(story: Story[Case], name: str) -> None:
    """What holds after each step of a story holds on the way to each example."""
    assert story.given(*STEPS[name]).state == CASES[name]


@pytest.mark.parametrize("trigger", TRIGGERS)
@pytest.mark.parametrize("case", CASES)
def test_every_transition_ends_in_a_declared_state(case: str, trigger: str) -> None:
    """What the tables say a line may lead to is what it leads to, by its own trigger or by what follows."""
    before = CASES[case]
    context = SUBJECT.context(ex.a_caseworker(), LATER, {f"born:{ex.CASE}": ex.BORN.isoformat()})
    try:
        decision = decide(before, TRIGGERS[trigger], context)
    except ProblemError:
        return
    seen = Observed(before, TRIGGERS[trigger], context, decision, {}, {})
    assert list(a_state_moves_only_to_a_declared_state(SUBJECT, seen)) == []


def test_every_command_stands_in_a_table() -> None:
    """A command that fits no state could never be taken."""
    assert {row.trigger for machine in (CASE_MACHINE, CONSENT) for row in machine.on_command} == set(COMMANDS)
    assert {row.trigger for row in PERMISSION.on_event} > {*ENDS, events.ConsentGiven}
    assert {row.trigger for row in CONSENT.on_event} > {*ENDS, events.ConsentRequested}


@pytest.mark.parametrize("kind", SUBSCRIBES_TO)
def test_an_event_that_does_not_fit_changes_no_question(kind: type[Event]) -> None:
    """An event about a referral that is not on record here raises nothing and publishes nothing."""
    event = {
        "CaseOpened": ex.a_case_opened(),
        "ConsentAwaited": a_consent_awaited(),
        "CaseClosed": CaseClosed(reason="x"),
        "ReferralClosed": ReferralClosed(referral_id=OTHER_REFERRAL, reason="x"),
        "ReferralRecalled": ex.a_recall(OTHER_REFERRAL),
    }.get(kind.__name__, ex.a_decline(OTHER_REFERRAL))

    assert decide(None, event, a_context()).events == ()
    if kind is not CaseClosed:
        assert statuses(decide(CASES["granted"], event, a_context()).state) == statuses(CASES["granted"])


def test_a_timer_without_a_case_changes_nothing_and_a_command_finds_none() -> None:
    """A case that is not on record has nothing to end, and nothing to answer."""
    assert decide(None, ex.a_lapse(), a_context()).state is None
    assert decide(CASES["granted"], TimerFired("other", ex.REFERRAL, LATER), a_context()).events == ()
    with pytest.raises(NotFound):
        decide(None, ex.custody(), a_context())


WAITS = {
    "opened": [("custody", "caseworker", None)],
    "without custody": [("custody", "caseworker", None), ("permission", "caseworker", LAPSE_ON)],
    "requested": [
        ("custody", "caseworker", date(2027, 3, 3)),
        ("permission", "guardian", LAPSE_ON),
        ("answer", "guardian", LAPSE_ON),
        ("answer", "guardian", LAPSE_ON),
    ],
    "minuted": [
        ("custody", "caseworker", date(2027, 3, 3)),
        ("permission", "guardian", LAPSE_ON),
        ("confirmation", "colleague", date(2026, 3, 10)),
        ("answer", "guardian", LAPSE_ON),
    ],
    "granted": [
        ("custody", "caseworker", date(2027, 3, 3)),
        *[(wait, "guardian", date(2027, 3, 5)) for wait in ("end_of_permission", *["end_of_consent"] * 2)],
    ],
    "withdrawn": [("custody", "caseworker", date(2027, 3, 3))],
    "closed": [],
}


@pytest.mark.parametrize("name", WAITS)
def test_a_case_says_what_it_waits_for_for_whom_and_until_when(name: str) -> None:
    """Custody until it is stale, a permission and its answers until they lapse, a yes until it runs out."""
    found = waiting(CASES[name], ex.MODELS)

    assert [(wait.what, wait.party, wait.until) for wait in found] == WAITS[name]
    assert all(wait.until or wait.open_ended for wait in found)
    assert all(isinstance(wait, Waiting) for wait in found)


def test_the_young_persons_answer_is_waited_for_from_the_young_person() -> None:
    """A parent's question and the young person's own have each their party."""
    case = a_case(
        ex.opened(),
        ex.awaited(),
        ex.recorded(ex.the_mother(), born=ex.FIFTEEN, young=ex.YOUNG_PERSON),
    )

    assert [wait.party for wait in waiting(case, ex.MODELS) if wait.what == "answer"] == [
        "guardian",
        "young_person",
    ]
