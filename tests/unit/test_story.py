"""Stories and their invariants: each check finds the fault that it is there for."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any, Final

import pytest

from contracts.consent import ConsentGiven
from contracts.referral import CaseOpened
from services.consent.app import SERVICE
from services.consent.domain.lifecycle import CONSENT, decide
from services.consent.domain.states import Case, Custody
from services.kernel.decider.decision import Context, Decision, Timer
from services.kernel.decider.lifecycle import ABSENT, Lifecycle, row
from services.kernel.errors import InvalidTransition, NotFound
from tests.examples_consent import ASKED, CASE, GRANTED, LATER, REFERRAL, mother
from tests.invariants import CHECKS, Subject
from tests.story import Story
from tests.subject_consent import SUBJECT

NUMBERS: Final = count()
ENDED: Final = Lifecycle("x", (Case,), on_event=(row(ABSENT, CaseOpened, lambda *_: Decision(None), Case),))
UNREADABLE: Final = replace(SERVICE, state=Custody)


def moody(state: Case | None, trigger: Any, context: Context) -> Decision:
    """Decide another thing each time."""
    return Decision(decide(state, trigger, context).state, timers=(Timer(f"{next(NUMBERS)}", CASE, LATER),))


def broken_view(_case: Case, _private: object) -> object:
    """Raise, as a view does that misses a state."""
    raise KeyError


BROKEN: Final[dict[str, Callable[[], Subject[Case]]]] = {
    "a_decision_is_pure": lambda: replace(SUBJECT, service=replace(SERVICE, decide=moody)),
    "a_document_is_read_as_it_was_written": lambda: replace(SUBJECT, service=UNREADABLE),
    "the_same_input_again_changes_nothing": lambda: replace(SUBJECT, repeats={}),
    "every_role_can_be_shown_the_state": lambda: replace(SUBJECT, views={"guardian": broken_view}),
    "timers_are_those_of_the_state": lambda: replace(SUBJECT, timers=lambda _case: ()),
    "a_final_state_has_no_open_timer": lambda: replace(
        SUBJECT, things=lambda case: {REFERRAL: (ENDED, case)}
    ),
    "an_open_state_says_what_it_waits_for": lambda: replace(SUBJECT, waiting=lambda _case: {}),
    "a_wait_that_ends_by_itself_has_its_timer": lambda: replace(SUBJECT, day_of=lambda _at: LATER.date()),
    "a_state_moves_only_to_a_declared_state": lambda: replace(
        SUBJECT,
        things=lambda case: {at: (Lifecycle("x", CONSENT.states), one) for at, one in case.consents.items()},
    ),
    "no_personal_data_leaves_its_encryption": lambda: replace(SUBJECT, markers=("networks",)),
    "an_exit_is_never_blocked": lambda: replace(SUBJECT, exits=lambda _case: [mother.yes(at=LATER)]),
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_each_invariant_finds_its_fault(check: Callable[..., object]) -> None:
    """A check that finds nothing in a broken service would protect nothing."""
    story = Story(BROKEN[check.__name__]())

    with pytest.raises(AssertionError, match=check.__name__.replace("_", " ")):
        story.given(*ASKED)


def test_what_arises_must_be_asserted_or_waived() -> None:
    """An event or a timer that a test does not mention fails it by name; what is waived does not."""
    story = Story(SUBJECT).given(*ASKED).when(mother.yes())

    with pytest.raises(AssertionError, match=r"ConsentGiven.*expiry"):
        story.end()
    story.then(ConsentGiven)
    with pytest.raises(AssertionError, match="expiry"):
        story.end()
    story.waive("expiry").end()


def test_a_story_refuses_what_did_not_happen() -> None:
    """Events in another number, timers that were not set, and refusals of another kind are no match."""
    story = Story(SUBJECT).given(*ASKED).when(mother.yes())

    with pytest.raises(AssertionError):
        story.then(ConsentGiven, ConsentGiven)
    with pytest.raises(AssertionError, match="lapse was neither set nor taken back"):
        story.timers("lapse")
    with pytest.raises(InvalidTransition):
        Story(SUBJECT).given(*ASKED, mother.no()).refused(mother.yes(), NotFound)


def test_a_story_shows_its_last_steps() -> None:
    """What a failed test shows are five lines: when, what, by whom, and what was published."""
    lines = str(Story(SUBJECT).given(*GRANTED)).splitlines()

    assert len(lines) == 5
    assert lines[-1] == "  given 2026-03-05 19:30 GiveConsent by guardian -> ConsentGiven, ConsentGranted"
