"""A referral on its way: consent, sending, the answer, the agreement, and every way out."""

from typing import Any

import pytest

from contracts import referral as told
from contracts.event import Event
from services.kernel.decider.decision import Decision
from services.kernel.errors import ConsentUnknown, InvalidTransition, Refused
from services.referral import domain_refusals as no
from services.referral.domain import also, decide
from services.referral.domain.commands import (
    AcceptReferral,
    AwaitConsent,
    CloseCase,
    ConfirmDeletion,
    DeclineReferral,
    OfReferral,
    RecallReferral,
    SendReferral,
)
from services.referral.domain.states import (
    AwaitingConsent,
    Case,
    Lost,
    Ready,
    Referral,
    Scope,
    reason_of,
)
from tests.examples_referral import (
    CASE,
    NOW,
    OFFER,
    ORGANISATION,
    REFERRAL,
    TODAY,
    a_case,
    a_closed,
    a_consent,
    a_declined,
    a_draft,
    a_ready,
    a_recalled,
    a_scope,
    a_seen,
    a_sent,
    a_withdrawn,
    adopted,
    an_accepted,
    an_awaiting,
    an_eligibility,
    an_expired,
    an_offer,
    an_organisation,
    an_under_way,
    ended,
    given,
    granted,
    in_force,
    joined,
    lost,
    published,
    steps,
    to_assess,
    to_draft,
    to_note_views,
)


def after(decision: Decision) -> Referral:
    """Return the referral as a decision leaves it."""
    case: Case = decision.state
    return case.referrals[REFERRAL]


def test_awaiting_consent_always_asks_for_what_a_referral_cannot_do_without() -> None:
    """First name, age band and need belong to each referral; the rest is chosen."""
    decision = decide(a_case(a_draft()), AwaitConsent(REFERRAL, ("contact", "goals")), given())

    assert decision.state == a_case(an_awaiting())
    assert [type(event) for event in decision.events] == [told.ConsentAwaited]
    with pytest.raises(no.CodeUnknown):
        decide(a_case(a_draft()), AwaitConsent(REFERRAL, ("address",)), given())
    with pytest.raises(no.CodeUnknown):
        decide(a_case(a_draft()), AwaitConsent(REFERRAL, (), purpose="voice"), given())
    with pytest.raises(no.NotEligible):
        decide(
            a_case(a_draft(), eligibility=an_eligibility(eligible=False)), AwaitConsent(REFERRAL, ()), given()
        )


@pytest.mark.parametrize(("early", "status"), [(granted(), Ready), (lost("refused"), type(a_withdrawn()))])
def test_an_answer_that_came_before_the_question_is_not_asked_again(early: Any, status: type) -> None:
    """What is known of a consent is used at once when a referral begins to wait for it."""
    case = decide(a_case(a_draft()), early, given()).state

    decision = decide(case, AwaitConsent(REFERRAL, ("goals", "contact")), given())

    assert isinstance(after(decision), status)


@pytest.mark.req("K3")
def test_only_a_consent_that_covers_all_makes_a_referral_ready() -> None:
    """A consent to less than was asked for, or for another organisation, opens nothing."""
    case = a_case(an_awaiting())

    assert after(decide(case, granted(), given())) == a_ready()
    assert isinstance(after(decide(case, granted(facts=("need",)), given())), AwaitingConsent)


@pytest.mark.req("K3")
def test_sending_starts_the_clock_for_an_answer() -> None:
    """A sent referral tells the organisation by which day it must answer."""
    decision = decide(a_case(a_ready(), a_consent()), SendReferral(REFERRAL), given())

    assert after(decision) == a_sent()
    assert decision.events == (
        told.ReferralSent(
            referral_id=REFERRAL,
            organisation_id=ORGANISATION,
            offer_id=OFFER,
            sent_at=NOW,
            answer_by=a_sent().answer_by,
        ),
    )
    assert also(decision.state, SendReferral(REFERRAL)) == (ORGANISATION,)


@pytest.mark.req("K3")
@pytest.mark.parametrize(
    "consent",
    [
        None,
        Lost("withdrawn"),
        a_consent(until=NOW),
        a_consent(organisation_id=CASE),
        a_consent(scope=Scope("ties", a_scope().facts)),
        a_consent(scope=Scope("networks", ("need",))),
    ],
)
def test_nothing_reaches_an_organisation_without_a_valid_consent(consent: Any) -> None:
    """The gate is checked when a referral is sent, and again when it is seen or accepted."""
    for referral, step in ((a_ready(), steps()[1]), (a_sent(), steps()[2]), (a_seen(), steps()[3])):
        with pytest.raises(no.ConsentMissing):
            decide(a_case(referral, consent), step, given())


@pytest.mark.req("K3")
def test_the_gate_is_shut_while_consents_are_not_known_for_sure() -> None:
    """A consent service that is not heard can delay a referral, never leak one."""
    for referral, step in ((a_ready(), steps()[1]), (a_sent(), steps()[2]), (a_seen(), steps()[3])):
        with pytest.raises(ConsentUnknown):
            decide(a_case(referral, a_consent()), step, given(consents_fresh=False))


@pytest.mark.req("N6")
@pytest.mark.parametrize(
    ("organisation", "refusal"),
    [
        (None, no.OrganisationNotJoined),
        (an_organisation(joined=False), no.OrganisationNotJoined),
        (an_organisation(declaration_until=TODAY.replace(day=1)), no.DeclarationExpired),
    ],
)
def test_only_an_organisation_in_good_standing_is_asked(organisation: Any, refusal: type[Refused]) -> None:
    """It has accepted the terms, has not left, and its child-protection declaration is current."""
    with pytest.raises(refusal):
        decide(
            a_case(a_ready(), a_consent()),
            SendReferral(REFERRAL),
            given(others={ORGANISATION: organisation}),
        )


@pytest.mark.req("K1")
@pytest.mark.parametrize(
    ("organisation", "refusal"),
    [
        (an_organisation(joined=False), no.OrganisationNotJoined),
        (an_organisation(declaration_until=TODAY.replace(day=1)), no.DeclarationExpired),
    ],
)
def test_who_has_left_meanwhile_takes_nobody_new(organisation: Any, refusal: type[Refused]) -> None:
    """A referral that was sent before an organisation left can be declined, not accepted."""
    case, asked = a_case(a_seen(), a_consent()), AcceptReferral(REFERRAL)
    here = given(others={OFFER: an_offer(), ORGANISATION: organisation})

    with pytest.raises(refusal):
        decide(case, asked, here)
    assert also(case, asked) == (OFFER, ORGANISATION)
    assert after(decide(case, DeclineReferral(REFERRAL, "no_places"), here)) == a_declined()


@pytest.mark.req("K3")
def test_other_facts_cannot_be_asked_for_beside_those_that_are() -> None:
    """Who asks for the same again changes nothing; who asks for more hears that it was not asked."""
    waiting = a_case(an_awaiting())

    assert decide(waiting, AwaitConsent(REFERRAL, ("contact", "goals")), given()) == Decision(waiting)
    for asked in (("contact", "goals", "practical"), ("goals",)):
        with pytest.raises(InvalidTransition):
            decide(waiting, AwaitConsent(REFERRAL, asked), given())


@pytest.mark.req("N5")
def test_a_serious_concern_found_before_the_sending_stops_it() -> None:
    """What is judged anew counts: nothing goes to volunteers that no longer meets the criteria."""
    case = a_case(a_ready(), a_consent(), eligibility=an_eligibility(eligible=False))

    with pytest.raises(no.NotEligible):
        decide(case, SendReferral(REFERRAL), given())
    assert reason_of(after(decide(case, RecallReferral(REFERRAL, "need_changed"), given()))) == "need_changed"


@pytest.mark.parametrize("heard", [joined(), published(), adopted()])
def test_what_the_directory_says_of_an_id_that_is_a_case_leaves_the_case_alone(heard: Event) -> None:
    """Whoever lets an organisation in under the id of a case takes nothing from the case."""
    case = a_case(a_sent(), a_consent())

    assert decide(case, heard, given()) == Decision(case)


def test_two_cannot_take_the_last_place() -> None:
    """Accepting takes a place of the offer; where none is free, it is refused."""
    case = a_case(a_seen(), a_consent())

    free = {OFFER: an_offer(places=2, taken=1), ORGANISATION: an_organisation()}
    decision = decide(case, AcceptReferral(REFERRAL), given(others=free))
    full = decision.others[OFFER].state

    assert after(decision) == an_accepted()
    assert decision.others[OFFER].events == (told.PlaceTaken(referral_id=REFERRAL, taken=2),)
    with pytest.raises(no.NoPlaceFree):
        decide(case, AcceptReferral(REFERRAL), given(others={OFFER: full}))
    with pytest.raises(no.OfferUnknown):
        decide(case, AcceptReferral(REFERRAL), given(others={}))


@pytest.mark.parametrize("trigger", [lost(), ended(), RecallReferral(REFERRAL, "family_moved")])
@pytest.mark.parametrize("referral", [an_accepted(), an_under_way()])
def test_a_place_is_given_back_once(referral: Referral, trigger: Any) -> None:
    """Whether the agreement ends, the consent is lost or the referral recalled: the place is free again."""
    case = a_case(referral, a_consent())

    decision = decide(case, trigger, given(others={OFFER: an_offer(taken=2)}))
    again = decide(decision.state, lost("expired"), given(others={OFFER: an_offer(taken=1)}))

    assert also(case, trigger) == (OFFER,)
    assert decision.others[OFFER].state.taken == 1
    assert decision.others[OFFER].events == (told.PlaceReleased(referral_id=REFERRAL, taken=1),)
    assert again.others == {}


@pytest.mark.parametrize("referral", [a_ready(), a_sent(), a_closed()])
def test_who_has_no_place_gives_none_back(referral: Referral) -> None:
    """A referral that was not accepted, or is closed, holds no place."""
    decision = decide(a_case(referral, a_consent()), lost(), given(others={OFFER: an_offer(taken=2)}))

    assert decision.others == {}


@pytest.mark.req("K3")
def test_a_lost_consent_stops_a_sent_referral_and_asks_for_deletion() -> None:
    """Sharing stops at once; the organisation deletes its copy within five working days."""
    decision = decide(a_case(a_sent(), a_consent()), lost(), given())

    assert after(decision) == a_withdrawn()
    assert decision.events == (
        told.ReferralWithdrawn(
            referral_id=REFERRAL,
            organisation_id=ORGANISATION,
            reason="withdrawn",
            delete_by=a_withdrawn().delete_by,
        ),
    )


@pytest.mark.parametrize("referral", [an_awaiting(), a_ready()])
def test_what_was_never_sent_needs_no_deletion(referral: Referral) -> None:
    """An organisation that has heard nothing has nothing to delete."""
    refused = decide(a_case(referral), lost("refused"), given())
    recalled = decide(a_case(referral), RecallReferral(REFERRAL, "need_changed"), given())

    assert after(refused) == a_withdrawn(delete_by=None, reason="refused")
    for stopped in (refused, recalled):
        with pytest.raises(InvalidTransition):
            decide(stopped.state, ConfirmDeletion(REFERRAL), given())


def test_a_question_that_lapsed_expires_whoever_notices_first() -> None:
    """The consent service's clock and ours end the same wait on the same day with the same result."""
    heard = decide(a_case(an_awaiting()), lost("lapsed"), given())

    assert after(heard) == an_expired("awaiting_consent", an_awaiting().lapse_on)


def test_confirming_a_deletion_twice_changes_nothing() -> None:
    """The first confirmation stands."""
    first = decide(a_case(a_recalled()), ConfirmDeletion(REFERRAL), given())

    assert after(first) == a_recalled(deleted_at=NOW)
    assert decide(first.state, ConfirmDeletion(REFERRAL), given()) == Decision(first.state)


@pytest.mark.parametrize(
    ("referral", "step"),
    [(a_sent(), DeclineReferral(REFERRAL, "bored")), (a_sent(), RecallReferral(REFERRAL, "bored"))],
)
def test_an_exit_has_a_reason_of_the_model(referral: Referral, step: OfReferral) -> None:
    """Reasons are codes that the model knows, so that they can be counted."""
    with pytest.raises(no.CodeUnknown):
        decide(a_case(referral), step, given())


def test_exits_stay_open_when_the_gate_is_shut() -> None:
    """Declining and recalling need no consent, no place and no current declaration."""
    shut = given(consents_fresh=False, others={})

    declined = decide(a_case(a_seen()), DeclineReferral(REFERRAL, "no_places"), shut)
    recalled = decide(a_case(a_seen()), RecallReferral(REFERRAL, "family_moved"), shut)

    assert after(declined) == a_declined()
    assert after(recalled) == a_recalled()


def test_an_agreement_leads_a_referral_under_way_and_to_its_end() -> None:
    """The referral follows its agreement."""
    under_way = decide(a_case(an_accepted(), a_consent()), in_force(), given())
    closed = decide(under_way.state, ended(), given())

    assert after(under_way) == an_under_way()
    assert after(closed) == a_closed()
    assert closed.events == (told.ReferralClosed(referral_id=REFERRAL, reason="goals_reached"),)


def test_a_case_is_closed_when_nothing_is_open() -> None:
    """An open referral is finished first; of a closed case only deletions are still awaited."""
    closed = decide(a_case(a_recalled()), CloseCase("family_moved"), given())

    assert closed.events == (told.CaseClosed(reason="family_moved"),)
    assert decide(closed.state, CloseCase("family_moved"), given()) == Decision(closed.state)
    assert decide(closed.state, ConfirmDeletion(REFERRAL), given()).events
    for step in (to_note_views(), to_assess(), to_draft()):
        with pytest.raises(InvalidTransition):
            decide(closed.state, step, given())
    with pytest.raises(no.StillOpen):
        decide(a_case(a_sent()), CloseCase("family_moved"), given())
    with pytest.raises(no.CodeUnknown):
        decide(a_case(), CloseCase("bored"), given())
