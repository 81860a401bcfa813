"""Consent in any order: topics that overtake each other, and any sequence of inputs."""

from contextlib import suppress
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given as example
from hypothesis import strategies as st
from msgspec.structs import replace

from contracts import consent as events
from contracts.event import Event
from services.consent.domain.commands import ConfirmCustody
from services.consent.domain.states import Awaited, Case, Given, Granted, Lost, Over
from services.kernel.decider.decision import Actor, TimerFired
from services.kernel.errors import NotFound, Refused
from tests import examples_consent as ex
from tests.examples_consent import (
    ANSWERED_AT,
    LATER,
    OTHER_REFERRAL,
    a_context,
    awaited,
    custody,
    opened,
    permission_of,
)
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


EMPLOYEES = (ex.a_caseworker(), ex.a_colleague(), ex.a_colleague("leader", ex.CASEWORKER))
"""Two persons in three roles."""
PERSONS = (ex.mother, ex.father, ex.young_person)
HAPPENS = st.sampled_from(
    [
        (one, Actor())
        for one in (
            ex.a_case_opened(),
            ex.a_consent_awaited(),
            ex.a_recall(),
            ex.a_lapse(),
            ex.an_expiry(),
            ex.an_expiry(ex.FATHER),
            ex.an_unconfirmed_end(),
        )
    ]
)
CASEWORK = st.tuples(
    st.sampled_from(
        [
            custody(),
            custody(ex.the_mother()),
            custody(born=ex.FIFTEEN, young_person_id=ex.YOUNG_PERSON),
            ConfirmCustody(),
            ConfirmCustody(),
            *(
                act
                for person in PERSONS
                for act in (
                    ex.a_yes(person.id, evidence="oral_minuted"),
                    ex.a_yes(person.id, evidence="oral_minuted"),
                    ex.a_confirmation(person.id),
                    ex.a_confirmation(person.id),
                    ex.a_rejection(person.id),
                    replace(ex.a_no(person.id), evidence="oral_minuted"),
                )
            ),
        ]
    ),
    st.sampled_from(EMPLOYEES),
)
OWN_ANSWERS = st.sampled_from(
    [(kind(one.id), one.actor) for kind in (ex.a_yes, ex.a_no, ex.a_withdrawal) for one in PERSONS]
)
INPUTS = st.one_of(HAPPENS, CASEWORK, CASEWORK, OWN_ANSWERS)


@pytest.mark.req("K3")
@example(st.lists(INPUTS, max_size=30))
def test_whatever_happens_a_permission_stands_on_the_yes_of_all_who_must(
    inputs: list[tuple[Any, Actor]],
) -> None:
    """There is no way to a permission past anybody who must consent, and none that outlives a no.

    Finding 7: and none from what one employee alone has put on record. Every step of it is a step of a
    story, with its invariants.
    """
    story = Story(SUBJECT).given(opened())
    granted = False
    for n, (trigger, by) in enumerate(inputs):
        at = ANSWERED_AT + timedelta(days=n)
        if isinstance(trigger, TimerFired):
            trigger = TimerFired(trigger.kind, trigger.ref, max(at, trigger.due_at))  # noqa: PLW2901  late at most
        if not isinstance(trigger, Event | TimerFired) and not SUBJECT.service.authorize(
            story.state, trigger, a_context(at, by)
        ):
            continue
        try:
            story.when(Step(trigger, by, at))
        except (NotFound, Refused):
            continue
        for event in story.events:
            if isinstance(event, events.ConsentGranted):
                two_employees_took_part(story.state)
            granted = isinstance(event, events.ConsentGranted) or (
                granted and not isinstance(event, events.ConsentLost)
            )
        story.given()
        holds(story.state, granted=granted)


def two_employees_took_part(case: Case | None) -> None:
    """Assert that a permission just granted rests on nothing that one employee alone has put on record."""
    assert case is not None
    assert case.custody is not None
    counting = [one for one in case.consents.values() if isinstance(one, Given)]
    minuted = [one.given for one in counting if one.given.is_minuted]
    for answer in minuted:
        assert answer.confirmed is not None
        assert answer.confirmed.by != answer.by
    if minuted:
        assert case.custody.confirmed is not None
        assert case.custody.confirmed.by != case.custody.recorded_by


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


BY_ONE, BY_OTHER = ex.a_caseworker(), ex.a_colleague()
PARTS = (custody(ex.the_mother()), ConfirmCustody(), ex.a_yes(evidence="oral_minuted"), ex.a_confirmation())
"""All that a permission needs which rests on one minuted yes."""


def after(*acts: tuple[Any, Actor]) -> Case | None:
    """Return the case after acts in order, leaving out those that are refused."""
    story = Story(SUBJECT).given(opened(), awaited())
    for n, (act, by) in enumerate(acts):
        with suppress(NotFound, Refused):
            story.given(Step(act, by, ANSWERED_AT + timedelta(hours=n)))
    return story.state


@pytest.mark.req("K3")
@pytest.mark.parametrize("order", list(permutations(range(len(PARTS)))))
def test_finding_7_in_no_order_is_one_employee_enough_and_in_each_two_are(order: tuple[int, ...]) -> None:
    """One person in every role that they have, again and again, permits nothing; two of them do."""
    acts = [PARTS[n] for n in order]
    # custody that is recorded again would have to be confirmed again
    acts += [act for act in acts if act is not PARTS[0]] * len(PARTS)
    leader = ex.a_colleague("leader", BY_ONE.id)
    alone = after(*((act, by) for act in acts for by in (BY_ONE, leader if act in PARTS[1::2] else BY_ONE)))
    both = after(*((act, BY_OTHER if act in PARTS[1::2] else BY_ONE) for act in acts))

    assert not isinstance(permission_of(alone), Granted)
    assert isinstance(permission_of(both), Granted)
    two_employees_took_part(both)


@pytest.mark.req("K3")
@example(
    st.lists(
        st.tuples(
            st.sampled_from((*PARTS[1:], *PARTS, ex.a_rejection())), st.sampled_from((BY_ONE, BY_OTHER))
        ),
        max_size=14,
    )
)
def test_finding_7_two_employees_of_whom_each_does_anything_take_part(acts: list[tuple[Any, Actor]]) -> None:
    """Whoever records, minutes and confirms in which order: a permission rests on the work of two."""
    case = after((PARTS[0], BY_ONE), *acts)

    if isinstance(permission_of(case), Granted):
        given = ex.consent_of(case).given
        assert given.confirmed is not None
        assert given.confirmed.by != given.by
