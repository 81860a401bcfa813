"""Permission of a referral: granted by the last yes, lost by the first no, over with the referral."""

from datetime import UTC, datetime

import pytest

from contracts import consent as events
from contracts.event import Event
from contracts.referral import ReferralClosed
from services.consent.domain.states import Awaited, Case, Granted, Lost, Over
from services.kernel.decider.decision import Timer, TimerFired
from tests import examples_consent as ex
from tests.examples_consent import (
    ASKED,
    FATHER,
    GRANTED,
    LATER,
    MOTHER,
    REFERRAL,
    father,
    mother,
    permission_of,
)
from tests.invariants import Step
from tests.story import Story

FIRST_ENDS = datetime(2027, 3, 5, 19, 30, tzinfo=UTC)
LAST_ENDS = datetime(2027, 3, 9, 7, 15, tzinfo=UTC)


@pytest.mark.req("K3")
def test_the_last_yes_grants_until_the_first_of_them_runs_out(story: Story[Case]) -> None:
    """Joint custody needs both; the facts may be shared for twelve months from the first yes."""
    story.given(*ASKED).when(mother.yes()).then(events.ConsentGiven).timers("expiry")
    story.where(ex.permission_type, Awaited).when(father.yes(at=LATER)).then(
        events.ConsentGiven,
        events.ConsentGranted(
            referral_id=REFERRAL,
            organisation_id=ex.ORGANISATION,
            purpose="networks",
            facts=("first_name", "need"),
            until=FIRST_ENDS,
        ),
    )
    story.timers(Timer("expiry", ex.consent_id(FATHER), LAST_ENDS), Timer("lapse", REFERRAL, None))
    story.where(permission_of, Granted(permission_of(story.state).scope, FIRST_ENDS))


@pytest.mark.req("K3")
def test_one_no_is_enough(story: Story[Case]) -> None:
    """Where one parent says no nothing is shared, and the other one's yes no longer counts."""
    story.given(*ASKED, mother.yes()).when(father.no()).then(events.ConsentRefused, events.ConsentLost)
    story.timers(Timer("expiry", ex.consent_id(MOTHER), None), Timer("lapse", REFERRAL, None))
    story.where(ex.statuses, {MOTHER: "invalidated", FATHER: "refused"})


@pytest.mark.req("K3")
def test_taking_a_yes_back_stops_the_sharing_of_this_referral_at_once(story: Story[Case]) -> None:
    """Each organisation, purpose and set of facts has a permission of its own."""
    story.given(ex.opened(), ex.awaited(ex.OTHER_REFERRAL), *ASKED[1:], mother.yes(), father.yes())
    other = permission_of(story.state, ex.OTHER_REFERRAL)
    lost = events.ConsentLost(
        referral_id=REFERRAL, organisation_id=ex.ORGANISATION, purpose="networks", reason="withdrawn"
    )
    story.when(mother.withdrawal()).then(events.ConsentWithdrawn, lost).timers("expiry", "expiry")
    story.where(permission_of, Lost(permission_of(story.state).scope, "withdrawn", LATER))
    story.where(ex.statuses, {MOTHER: "withdrawn", FATHER: "invalidated"})

    assert permission_of(story.state, ex.OTHER_REFERRAL) == other


def test_a_yes_runs_out(story: Story[Case]) -> None:
    """A consent is valid for twelve months at most; then the permission that rests on it is lost."""
    story.waive("age").given(*ASKED, mother.yes(), father.yes(at=LATER))
    story.changes_nothing(Step(TimerFired("expiry", ex.consent_id(MOTHER), LATER), at=LATER))
    story.until(FIRST_ENDS).then(events.ConsentExpired, events.ConsentLost).timers("expiry", "expiry")
    story.where(ex.statuses, {MOTHER: "expired", FATHER: "invalidated"})


@pytest.mark.parametrize(
    "end", [ex.a_recall(), ex.a_decline(), ReferralClosed(referral_id=REFERRAL, reason="x")]
)
@pytest.mark.parametrize("before", [ASKED, GRANTED])
def test_a_referral_that_is_over_ends_its_questions_quietly(
    story: Story[Case], end: Event, before: tuple[Step, ...]
) -> None:
    """Nobody is asked about what no longer matters; the other services learn it from the referral."""
    story.waive("lapse", "expiry").given(*before).when(ex.over(end)).then()
    story.where(permission_of, Over(permission_of(story.state).scope, LATER))
    story.where(ex.statuses, dict.fromkeys((MOTHER, FATHER), "invalidated"))
    story.changes_nothing(mother.withdrawal())


def test_a_closed_case_asks_nobody_any_more(story: Story[Case]) -> None:
    """What is open ends with the case, and nothing is asked again."""
    story.given(*ASKED).when(ex.closed()).then().timers("lapse").where(ex.permission_type, Over)
    story.changes_nothing(ex.awaited(ex.OTHER_REFERRAL, at=LATER))
