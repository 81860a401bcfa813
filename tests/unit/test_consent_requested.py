"""Consent that is asked for: who is asked, in which words, and what counts as an answer."""

from dataclasses import replace as with_fields
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from contracts import consent as events
from services.consent.domain import refusals
from services.consent.domain.states import Awaited, Case, evidence_key
from services.kernel.decider.decision import Timer
from services.kernel.errors import NotFound
from tests import examples_consent as ex
from tests.examples_consent import (
    ASKED,
    FATHER,
    LATER,
    MOTHER,
    awaited,
    consent_of,
    father,
    mother,
    opened,
    recorded,
)
from tests.invariants import Step
from tests.story import Story
from tests.subject_consent import CALENDAR, SUBJECT

LAST_MORNING = CALENDAR.morning(ex.LAPSE_ON)
A_YEAR_LATER = datetime(2027, 3, 3, 10, 0, tzinfo=UTC)
LAPSED = events.ConsentLost(
    referral_id=ex.REFERRAL, organisation_id=ex.ORGANISATION, purpose="networks", reason="lapsed"
)


@pytest.mark.req("K3")
def test_both_parents_are_asked_once_custody_and_the_question_are_on_record(story: Story[Case]) -> None:
    """Two hold parental responsibility, so two are asked, each in the language that they read."""
    story.given(opened(), awaited()).when(recorded()).timers("age")

    asked = [event for event in story.events if isinstance(event, events.ConsentRequested)]
    assert [(event.holder_id, event.language) for event in asked] == [(MOTHER, "da"), (FATHER, "nb")]
    assert all(event.facts == ("first_name", "need") and event.purpose == "networks" for event in asked)
    assert asked[0].text_sha256 == ex.sha256_of("guardian", "da")
    story.then(events.CustodyRecorded, events.ConsentRequested, events.ConsentRequested)
    story.where(ex.permission_type, Awaited)


@pytest.mark.req("K3")
def test_it_does_not_matter_whether_custody_or_the_question_comes_first(story: Story[Case]) -> None:
    """The caseworker may record custody before or after a referral begins to wait."""
    story.given(opened(), recorded()).when(awaited()).waive("lapse")
    story.then(events.ConsentRequested, events.ConsentRequested)

    assert story.state == Story(SUBJECT).given(*ASKED).state


@pytest.mark.req("K3")
def test_without_custody_on_record_the_answer_is_no(story: Story[Case]) -> None:
    """As long as it is not on record who may consent nobody is asked, and in the end the answer is no."""
    story.given(opened()).when(awaited()).then().timers(Timer("lapse", ex.REFERRAL, LAST_MORNING))
    story.until(LAST_MORNING).then(LAPSED).timers("lapse")


def test_a_question_that_stays_open_lapses(story: Story[Case]) -> None:
    """After the last day to answer, silence is a no."""
    story.given(*ASKED, mother.yes()).until(LAST_MORNING).then(events.ConsentExpired, LAPSED)
    story.timers("lapse", "expiry").where(ex.statuses, {MOTHER: "invalidated", FATHER: "expired"})
    story.changes_nothing(father.no())


def test_what_was_never_asked_cannot_be_answered(story: Story[Case]) -> None:
    """An answer names a question that exists, in a case that exists."""
    stranger = ex.Person(ex.STRANGER, ex.a_guardian(ex.STRANGER))
    for given in ((), ASKED):
        story.given(*given)
        for answer in (stranger.yes(), stranger.no(), stranger.withdrawal()):
            story.refused(answer, NotFound)


def test_a_yes_is_to_the_text_that_was_asked_and_to_a_model_that_is_installed(story: Story[Case]) -> None:
    """Somebody who read other words has not said yes to these."""
    story.given(*ASKED).refused(mother.yes(sha256="0" * 64), refusals.TextChanged)
    story.refused(mother.yes(language="en", sha256=ex.sha256_of(language="da")), refusals.TextChanged)
    story.subject = with_fields(SUBJECT, models={})
    story.refused(mother.yes(), refusals.ModelMissing)


def test_a_text_may_be_read_in_another_language_and_is_then_frozen_in_it(story: Story[Case]) -> None:
    """What was permitted stays in its language; a signed-in person cannot claim another kind of proof."""
    story.given(*ASKED, mother.yes(language="en", evidence="oral_minuted"))
    story.changes_nothing(mother.yes(language="da", at=LATER))

    record = consent_of(story.state)
    assert (record.question.language, record.question.text_sha256) == ("en", ex.sha256_of(language="en"))
    assert (record.given.evidence, record.given.by, record.given.assurance) == ("own_sign_in", MOTHER, "high")


def test_a_caseworker_minutes_an_answer_with_how_it_was_given(story: Story[Case]) -> None:
    """A yes on paper or by word says who wrote it down, how, and where that is found; a no needs no form."""
    story.given(*ASKED).refused(Step(ex.a_yes(), ex.a_caseworker()), refusals.EvidenceMissing)
    story.refused(
        Step(ex.a_yes(evidence="paper_signed", reference=""), ex.a_caseworker()), refusals.EvidenceMissing
    )
    story.given(Step(ex.a_yes(evidence="paper_signed"), ex.a_caseworker()))
    yes = consent_of(story.state).minuted
    found_at = story.private[evidence_key(ex.consent_id())]
    story.given(Step(ex.a_no(FATHER), ex.a_caseworker()))

    assert (yes.evidence, yes.role, found_at) == ("paper_signed", "caseworker", ex.FOUND_AT)
    assert consent_of(story.state, FATHER).refused.evidence == "oral_minuted"


@pytest.mark.parametrize("level", ["none", "low", "substantial", "unheard_of"])
def test_a_yes_by_own_sign_in_needs_the_level_that_the_model_asks_for(story: Story[Case], level: str) -> None:
    """Who is not surely known cannot permit anything; a no is taken from everybody who is asked."""
    weak = replace(ex.a_guardian(), assurance=level)
    story.given(*ASKED).refused(Step(ex.a_yes(), weak), refusals.SignInTooWeak)
    story.given(Step(ex.a_no(), weak))

    proof = "unproved_sign_in" if level in {"none", "unheard_of"} else "own_sign_in"
    assert consent_of(story.state).refused.evidence == proof


def test_a_model_may_ask_for_a_lower_level(story: Story[Case]) -> None:
    """Which sign-in is safe enough for a yes is agreed on with the organisations."""
    terms = ex.MODEL.consent.model_copy(update={"assurance": "substantial"})
    model = ex.MODEL.model_copy(update={"consent": terms})
    story.subject = with_fields(SUBJECT, models={model.ref: model})
    story.given(*ASKED, Step(ex.a_yes(), replace(ex.a_guardian(), assurance="substantial")))

    assert consent_of(story.state).given.assurance == "substantial"


@pytest.mark.req("K3")
def test_stale_custody_means_no_until_it_is_confirmed(story: Story[Case]) -> None:
    """A record of custody is trusted for a year, then it is to be confirmed before anybody is asked."""
    story.waive("age", "lapse").given(opened(), recorded(), awaited(ex.OTHER_REFERRAL))
    story.refused(mother.yes(ex.OTHER_REFERRAL, at=A_YEAR_LATER), refusals.CustodyStale)
    story.when(awaited(at=A_YEAR_LATER)).then().when(recorded(at=A_YEAR_LATER + timedelta(days=1)))
    story.then(events.CustodyRecorded, events.ConsentRequested, events.ConsentRequested)
