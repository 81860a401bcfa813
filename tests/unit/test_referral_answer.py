"""A referral and its organisation: sending, the answer, places, the agreement, and every exit."""

from typing import Any

import pytest

from contracts import referral as events
from contracts.event import Event
from services.kernel.decider.decision import Decision
from services.kernel.errors import InvalidTransition, Refused
from services.referral.domain import refusals
from services.referral.domain.commands import (
    AcceptReferral,
    CloseCase,
    ConfirmDeletion,
    DeclineReferral,
    OfReferral,
    RecallReferral,
    SendReferral,
)
from services.referral.domain.lifecycle import decide, related_streams
from services.referral.domain.states import (
    Case,
    Referral,
)
from tests.examples_referral import (
    NOW,
    OFFER,
    ORGANISATION,
    REFERRAL,
    TODAY,
    a_case,
    a_closed,
    a_consent,
    a_context,
    a_declined,
    a_ready,
    a_recalled,
    a_seen,
    a_sent,
    adopted,
    an_accepted,
    an_eligibility,
    an_offer,
    an_organisation,
    an_under_way,
    ended,
    in_force,
    joined,
    lost,
    published,
    to_assess,
    to_draft,
    to_note_views,
)


def after(decision: Decision) -> Referral:
    """Return the referral as a decision leaves it."""
    case: Case = decision.state
    return case.referrals[REFERRAL]


@pytest.mark.req("K3")
def test_sending_starts_the_clock_for_an_answer() -> None:
    """A sent referral says by which day the organisation must answer."""
    decision = decide(a_case(a_ready(), a_consent()), SendReferral(REFERRAL), a_context())

    assert after(decision) == a_sent()
    assert decision.events == (
        events.ReferralSent(
            referral_id=REFERRAL,
            organisation_id=ORGANISATION,
            offer_id=OFFER,
            sent_at=NOW,
            answer_by=a_sent().answer_by,
        ),
    )
    assert related_streams(decision.state, SendReferral(REFERRAL)) == (ORGANISATION,)


@pytest.mark.req("N6")
@pytest.mark.parametrize(
    ("organisation", "refusal"),
    [
        (None, refusals.OrganisationNotJoined),
        (an_organisation(joined=False), refusals.OrganisationNotJoined),
        (an_organisation(declaration_until=TODAY.replace(day=1)), refusals.DeclarationExpired),
    ],
)
def test_only_an_organisation_in_good_standing_is_sent_a_referral(
    organisation: Any, refusal: type[Refused]
) -> None:
    """It has accepted the terms, has not left, and its child-protection declaration is current."""
    with pytest.raises(refusal):
        decide(
            a_case(a_ready(), a_consent()),
            SendReferral(REFERRAL),
            a_context(others={ORGANISATION: organisation}),
        )


@pytest.mark.req("K1")
@pytest.mark.parametrize(
    ("organisation", "refusal"),
    [
        (an_organisation(joined=False), refusals.OrganisationNotJoined),
        (an_organisation(declaration_until=TODAY.replace(day=1)), refusals.DeclarationExpired),
    ],
)
def test_an_organisation_that_has_left_accepts_no_referral(organisation: Any, refusal: type[Refused]) -> None:
    """A referral that was sent before an organisation left can be declined, not accepted."""
    case, accept = a_case(a_seen(), a_consent()), AcceptReferral(REFERRAL)
    here = a_context(others={OFFER: an_offer(), ORGANISATION: organisation})

    with pytest.raises(refusal):
        decide(case, accept, here)
    assert related_streams(case, accept) == (OFFER, ORGANISATION)
    assert after(decide(case, DeclineReferral(REFERRAL, "no_places"), here)) == a_declined()


@pytest.mark.req("N5")
def test_a_serious_concern_found_before_the_sending_stops_it() -> None:
    """What is judged anew counts: nothing goes to volunteers that no longer meets the criteria."""
    case = a_case(a_ready(), a_consent(), eligibility=an_eligibility(eligible=False))

    with pytest.raises(refusals.NotEligible):
        decide(case, SendReferral(REFERRAL), a_context())
    assert after(decide(case, RecallReferral(REFERRAL, "need_changed"), a_context())).reason == "need_changed"


@pytest.mark.parametrize("event", [joined(), published(), adopted()])
def test_a_directory_event_with_the_id_of_a_case_changes_nothing(event: Event) -> None:
    """An organisation that joins under the id of a case changes nothing of the case."""
    case = a_case(a_sent(), a_consent())

    assert decide(case, event, a_context()) == Decision(case)


def test_two_cannot_take_the_last_place() -> None:
    """Accepting takes a place of the offer; where none is free, it is refused."""
    case = a_case(a_seen(), a_consent())

    free = {OFFER: an_offer(places=2, taken=1), ORGANISATION: an_organisation()}
    decision = decide(case, AcceptReferral(REFERRAL), a_context(others=free))
    full = decision.others[OFFER].state

    assert after(decision) == an_accepted()
    assert decision.others[OFFER].events == (events.PlaceTaken(referral_id=REFERRAL, taken=2),)
    with pytest.raises(refusals.NoPlaceFree):
        decide(case, AcceptReferral(REFERRAL), a_context(others={OFFER: full}))
    with pytest.raises(refusals.OfferUnknown):
        decide(case, AcceptReferral(REFERRAL), a_context(others={}))


@pytest.mark.parametrize("trigger", [lost(), ended(), RecallReferral(REFERRAL, "family_moved")])
@pytest.mark.parametrize("referral", [an_accepted(), an_under_way()])
def test_a_place_is_released_once(referral: Referral, trigger: Any) -> None:
    """Whether the agreement ends, the consent is lost or the referral recalled: the place is free again."""
    case = a_case(referral, a_consent())

    decision = decide(case, trigger, a_context(others={OFFER: an_offer(taken=2)}))
    again = decide(decision.state, lost("expired"), a_context(others={OFFER: an_offer(taken=1)}))

    assert related_streams(case, trigger) == (OFFER,)
    assert decision.others[OFFER].state.taken == 1
    assert decision.others[OFFER].events == (events.PlaceReleased(referral_id=REFERRAL, taken=1),)
    assert again.others == {}


@pytest.mark.parametrize("referral", [a_ready(), a_sent(), a_closed()])
def test_a_referral_without_a_place_releases_none(referral: Referral) -> None:
    """A referral that was not accepted, or is closed, holds no place."""
    decision = decide(a_case(referral, a_consent()), lost(), a_context(others={OFFER: an_offer(taken=2)}))

    assert decision.others == {}


def test_confirming_a_deletion_twice_changes_nothing() -> None:
    """The first confirmation stands."""
    first = decide(a_case(a_recalled()), ConfirmDeletion(REFERRAL), a_context())

    assert after(first) == a_recalled(deleted_at=NOW)
    assert decide(first.state, ConfirmDeletion(REFERRAL), a_context()) == Decision(first.state)


@pytest.mark.parametrize(
    ("referral", "step"),
    [(a_sent(), DeclineReferral(REFERRAL, "bored")), (a_sent(), RecallReferral(REFERRAL, "bored"))],
)
def test_an_exit_has_a_reason_of_the_model(referral: Referral, step: OfReferral) -> None:
    """Reasons are codes of the model, so that they can be counted."""
    with pytest.raises(refusals.CodeUnknown):
        decide(a_case(referral), step, a_context())


def test_exits_stay_open_when_the_gate_is_shut() -> None:
    """Declining and recalling need no consent, no place and no current declaration."""
    shut = a_context(consents_fresh=False, others={})

    declined = decide(a_case(a_seen()), DeclineReferral(REFERRAL, "no_places"), shut)
    recalled = decide(a_case(a_seen()), RecallReferral(REFERRAL, "family_moved"), shut)

    assert after(declined) == a_declined()
    assert after(recalled) == a_recalled()


def test_an_agreement_leads_a_referral_under_way_and_to_its_end() -> None:
    """The referral follows its agreement."""
    under_way = decide(a_case(an_accepted(), a_consent()), in_force(), a_context())
    closed = decide(under_way.state, ended(), a_context())

    assert after(under_way) == an_under_way()
    assert after(closed) == a_closed()
    assert closed.events == (events.ReferralClosed(referral_id=REFERRAL, reason="goals_reached"),)


def test_a_case_is_closed_when_nothing_is_open() -> None:
    """An open referral is finished first; of a closed case only deletions are still awaited."""
    closed = decide(a_case(a_recalled()), CloseCase("family_moved"), a_context())

    assert closed.events == (events.CaseClosed(reason="family_moved"),)
    assert decide(closed.state, CloseCase("family_moved"), a_context()) == Decision(closed.state)
    assert decide(closed.state, ConfirmDeletion(REFERRAL), a_context()).events
    for step in (to_note_views(), to_assess(), to_draft()):
        with pytest.raises(InvalidTransition):
            decide(closed.state, step, a_context())
    with pytest.raises(refusals.StillOpen):
        decide(a_case(a_sent()), CloseCase("family_moved"), a_context())
    with pytest.raises(refusals.CodeUnknown):
        decide(a_case(), CloseCase("bored"), a_context())
