"""A case is opened, and the views of child and family are noted."""

import json
from typing import Any

import msgspec
import pytest

from contracts import referral as events
from services.kernel.decider.decision import Decision
from services.kernel.errors import Refused
from services.referral.domain import refusals
from services.referral.domain.commands import (
    NoteViews,
    View,
)
from services.referral.domain.lifecycle import decide, related_streams
from services.referral.domain.states import (
    Expected,
    Lost,
)
from tests.examples_referral import (
    CASE,
    CHILD,
    DEPARTMENT,
    MUNICIPALITY,
    OFFER,
    REFERRAL,
    SECRETS,
    a_case,
    a_context,
    custody_recorded,
    lost,
    to_assess,
    to_draft,
    to_note_views,
    to_open_case,
)


@pytest.mark.req("K6")
def test_opening_a_case_follows_the_model_of_the_municipality() -> None:
    """A case follows one version of one model from the day it is opened."""
    decision = decide(None, to_open_case(), a_context())

    assert decision.state == a_case(views=None, eligibility=None, custody=None)
    assert decision.events == (
        events.CaseOpened(
            department_id=DEPARTMENT,
            caseworker_id=decision.state.caseworker_id,
            model="kerteminde",
            model_version=1,
            child_id=decision.state.child_id,
        ),
    )
    assert related_streams(None, to_open_case()) == (MUNICIPALITY,)


def test_a_case_is_opened_once() -> None:
    """A second opening changes nothing; under another child it is refused."""
    case = a_case()

    assert decide(case, to_open_case(), a_context()) == Decision(case)
    with pytest.raises(refusals.CaseExists):
        decide(case, to_open_case(child_id=OFFER), a_context())


def test_no_case_is_opened_without_a_model() -> None:
    """A municipality first adopts a model that this installation has."""
    with pytest.raises(refusals.ModelMissing):
        decide(None, to_open_case(), a_context(others={}))
    with pytest.raises(refusals.ModelMissing):
        decide(None, to_open_case(), a_context(models={}))


def test_events_before_the_opening_are_kept() -> None:
    """Custody or a lost consent may arrive before the case is opened: both are kept."""
    expected = decide(None, custody_recorded(), a_context()).state
    expected = decide(expected, lost(), a_context()).state

    case = decide(expected, to_open_case(), a_context()).state

    assert isinstance(expected, Expected)
    assert case.custody == a_case().custody
    assert case.consents == {REFERRAL: Lost("withdrawn")}


def test_nothing_personal_leaves_the_seals() -> None:
    """No name, birth date or sentence stands in a state, an event, a timer or an effect."""
    story = (to_open_case(), to_note_views(), to_assess(), to_draft())
    state: Any = None
    bodies: list[Any] = []
    sealed: dict[str, Any] = {}
    for command in story:
        decision = decide(state, command, a_context())
        state = decision.state
        bodies += [event.model_dump(mode="json") for event in decision.events]
        bodies += [msgspec.to_builtins((state, decision.timers, decision.effects))]
        sealed |= {one.name: one.value for one in decision.private_values}

    public, private = json.dumps(bodies), json.dumps(sealed)

    assert [secret for secret in SECRETS if secret in public] == []
    assert [secret for secret in SECRETS if secret not in private] == []


@pytest.mark.req("H1")
def test_the_views_of_child_and_family_are_sealed_and_their_answers_published() -> None:
    """Child and family say how they see it; the event says only that they were heard."""
    decision = decide(a_case(views=None), to_note_views(), a_context())

    assert decision.events == (events.ViewsNoted(child="heard", family="heard"),)
    assert {one.name: one.subject for one in decision.private_values} == {
        "child_view": CHILD,
        "family_view": CASE,
    }


@pytest.mark.req("H1")
@pytest.mark.parametrize(
    ("view", "refusal"),
    [
        (View(answer="heard"), refusals.ViewMissing),
        (View(answer="not_heard"), refusals.ViewMissing),
        (View(answer="perhaps", view="yes"), refusals.CodeUnknown),
    ],
)
def test_a_view_is_heard_or_there_is_a_reason_why_not(view: View, refusal: type[Refused]) -> None:
    """The child's voice is a step that cannot be skipped."""
    with pytest.raises(refusal):
        decide(a_case(), NoteViews(child=view, family=View(answer="declined")), a_context())
