"""Consent in any order: topics that overtake each other, and any sequence of inputs."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given as example
from hypothesis import strategies as st
from msgspec.structs import replace

from contracts import consent as events
from services.consent.domain.refusals import CustodyStale
from services.consent.domain.states import Awaited, Case, Given, Granted, Lost, Over
from services.kernel.decider.decision import TimerFired
from services.kernel.errors import InvalidTransition, NotFound
from tests import examples_consent as ex
from tests.examples_consent import ANSWERED_AT, LATER, OTHER_REFERRAL, awaited, custody, opened, permission_of
from tests.invariants import Step
from tests.story import Story
from tests.subject_consent import SUBJECT, a_case

CONSUMED = (opened(), awaited(), awaited(OTHER_REFERRAL), Step(ex.a_recall(OTHER_REFERRAL), at=LATER))
OWN = (ex.recorded(), ex.mother.yes(), ex.father.yes(), ex.father.withdrawal())
IN_ORDER = a_case(opened(), ex.recorded(), awaited(), *OWN[1:])


@example(st.permutations([True] * len(CONSUMED) + [False] * len(OWN)))
def test_the_outcome_does_not_depend_on_which_topic_was_read_first(consumed: list[bool]) -> None:
    """Whatever the referral service says between the family's steps, the case ends the same.

    A person who is too early is refused, and tries again.
    """
    events, own, state = list(CONSUMED), list(OWN), None
    for is_event in consumed + [False] * len(OWN):
        if is_event:
            state = decided(state, events.pop(0))
        elif own:
            try:
                state = decided(state, own[0])
            except NotFound:
                continue
            own.pop(0)

    assert own == []
    assert isinstance(state, Case)
    assert permission_of(state) == permission_of(IN_ORDER)
    assert isinstance(permission_of(state, OTHER_REFERRAL), Over)
    assert state.consents_of(ex.REFERRAL) == IN_ORDER.consents
    assert state.custody == IN_ORDER.custody


def decided(state: Case | None, step: Step) -> Case | None:
    """Return the case after a step, whether or not somebody may take it."""
    after: Case | None = SUBJECT.decide(
        state, step.trigger, SUBJECT.context(step.by, step.at or ANSWERED_AT, {})
    ).state
    return after


INPUTS = st.one_of(
    st.sampled_from([ex.a_case_opened(), ex.a_consent_awaited(), ex.a_recall(), ex.a_lapse()]),
    st.sampled_from([ex.an_expiry(), ex.an_expiry(ex.FATHER)]),
    st.sampled_from(
        [
            custody(),
            custody(ex.the_mother()),
            custody(born=ex.FIFTEEN, young_person_id=ex.YOUNG_PERSON),
        ]
    ),
    st.sampled_from(
        [
            kind(person)
            for kind in (ex.a_yes, ex.a_no, ex.a_withdrawal)
            for person in (ex.MOTHER, ex.FATHER, ex.YOUNG_PERSON)
        ]
    ),
)


@pytest.mark.req("K3")
@example(st.lists(INPUTS, max_size=25))
def test_whatever_happens_a_permission_stands_on_the_yes_of_all_who_must(inputs: list[Any]) -> None:
    """There is no way to a permission past anybody who must consent, and none that outlives a no.

    Every step of it is a step of a story, with its invariants.
    """
    story = Story(SUBJECT).given(opened())
    granted = False
    for n, trigger in enumerate(inputs):
        at = ANSWERED_AT + timedelta(days=20 * n)
        if hasattr(trigger, "evidence"):
            trigger = replace(trigger, evidence="oral_minuted")  # noqa: PLW2901  as a caseworker minutes it
        if isinstance(trigger, TimerFired):
            trigger = TimerFired(trigger.kind, trigger.ref, max(at, trigger.due_at))  # noqa: PLW2901  late at most
        try:
            story.when(Step(trigger, ex.a_caseworker(), at))
        except (NotFound, InvalidTransition, CustodyStale):
            continue
        for event in story.events:
            granted = isinstance(event, events.ConsentGranted) or (
                granted and not isinstance(event, events.ConsentLost)
            )
        story.given()
        holds(story.state, granted=granted)


def holds(case: Case | None, *, granted: bool) -> None:
    """Assert that the permission is what was published, and rests on every yes that is needed."""
    assert case is not None
    permission = case.permissions.get(ex.REFERRAL)
    if isinstance(permission, Granted):
        assert granted
        assert case.custody is not None
        yes = {one.question.person_id for one in case.consents.values() if isinstance(one, Given)}
        assert set(case.custody.must) <= yes
    if permission is None or isinstance(permission, Awaited | Lost):
        assert not granted
