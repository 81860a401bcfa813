"""Consent of a referral: requested, granted, on record before the request, lost, and the gate it opens."""

from typing import Any, Final

import pytest

from contracts import referral as events
from services.kernel.decider.decision import Decision
from services.kernel.errors import ConsentUnknown, InvalidTransition
from services.referral.domain import refusals
from services.referral.domain.commands import (
    AcceptReferral,
    AwaitConsent,
    ConfirmDeletion,
    OfReferral,
    RecallReferral,
    SeeReferral,
    SendReferral,
)
from services.referral.domain.lifecycle import decide
from services.referral.domain.states import (
    AwaitingConsent,
    Case,
    Lost,
    Ready,
    Referral,
    Scope,
)
from tests.examples_referral import (
    CASE,
    NOW,
    ORGANISATION,
    REFERRAL,
    a_case,
    a_consent,
    a_context,
    a_draft,
    a_ready,
    a_scope,
    a_seen,
    a_sent,
    a_withdrawn,
    an_awaiting,
    an_eligibility,
    an_expired,
    granted,
    lost,
)

GATED: Final[tuple[tuple[Referral, OfReferral], ...]] = (
    (a_ready(), SendReferral(REFERRAL)),
    (a_sent(), SeeReferral(REFERRAL)),
    (a_seen(), AcceptReferral(REFERRAL)),
)
"""The steps that need a valid consent, each in a state that it fits."""


def after(decision: Decision) -> Referral:
    """Return the referral as a decision leaves it."""
    case: Case = decision.state
    return case.referrals[REFERRAL]


def test_a_consent_request_always_names_what_a_referral_cannot_do_without() -> None:
    """First name, age band and need belong to each referral; the rest is chosen."""
    decision = decide(a_case(a_draft()), AwaitConsent(REFERRAL, ("contact", "goals")), a_context())

    assert decision.state == a_case(an_awaiting())
    assert [type(event) for event in decision.events] == [events.ConsentAwaited]
    with pytest.raises(refusals.CodeUnknown):
        decide(a_case(a_draft()), AwaitConsent(REFERRAL, ("address",)), a_context())
    with pytest.raises(refusals.CodeUnknown):
        decide(a_case(a_draft()), AwaitConsent(REFERRAL, (), purpose="voice"), a_context())
    with pytest.raises(refusals.NotEligible):
        decide(
            a_case(a_draft(), eligibility=an_eligibility(eligible=False)),
            AwaitConsent(REFERRAL, ()),
            a_context(),
        )


@pytest.mark.parametrize(("early", "status"), [(granted(), Ready), (lost("refused"), type(a_withdrawn()))])
def test_an_answer_before_the_request_is_applied_at_once(early: Any, status: type) -> None:
    """A consent on record is applied as soon as a referral begins to wait for it."""
    case = decide(a_case(a_draft()), early, a_context()).state

    decision = decide(case, AwaitConsent(REFERRAL, ("goals", "contact")), a_context())

    assert isinstance(after(decision), status)


@pytest.mark.req("K3")
def test_only_a_consent_that_covers_all_makes_a_referral_ready() -> None:
    """A consent to less than was requested, or for another organisation, opens nothing."""
    case = a_case(an_awaiting())

    assert after(decide(case, granted(), a_context())) == a_ready()
    assert isinstance(after(decide(case, granted(facts=("need",)), a_context())), AwaitingConsent)


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
    for referral, command in GATED:
        with pytest.raises(refusals.ConsentMissing):
            decide(a_case(referral, consent), command, a_context())


@pytest.mark.req("K3")
def test_the_gate_is_shut_while_consents_are_not_fresh() -> None:
    """A silent consent service can delay a referral, never leak one."""
    for referral, command in GATED:
        with pytest.raises(ConsentUnknown):
            decide(a_case(referral, a_consent()), command, a_context(consents_fresh=False))


@pytest.mark.req("K3")
def test_a_second_request_for_other_facts_is_refused() -> None:
    """The same request again changes nothing; a request for more or less is refused."""
    waiting = a_case(an_awaiting())

    assert decide(waiting, AwaitConsent(REFERRAL, ("contact", "goals")), a_context()) == Decision(waiting)
    for facts in (("contact", "goals", "practical"), ("goals",)):
        with pytest.raises(InvalidTransition):
            decide(waiting, AwaitConsent(REFERRAL, facts), a_context())


@pytest.mark.req("K3")
def test_a_lost_consent_stops_a_sent_referral_and_requires_deletion() -> None:
    """Sharing stops at once; the organisation deletes its copy within five working days."""
    decision = decide(a_case(a_sent(), a_consent()), lost(), a_context())

    assert after(decision) == a_withdrawn()
    assert decision.events == (
        events.ReferralWithdrawn(
            referral_id=REFERRAL,
            organisation_id=ORGANISATION,
            reason="withdrawn",
            delete_by=a_withdrawn().delete_by,
        ),
    )


@pytest.mark.parametrize("referral", [an_awaiting(), a_ready()])
def test_what_was_never_sent_needs_no_deletion(referral: Referral) -> None:
    """An organisation that was sent nothing has nothing to delete."""
    refused = decide(a_case(referral), lost("refused"), a_context())
    recalled = decide(a_case(referral), RecallReferral(REFERRAL, "need_changed"), a_context())

    assert after(refused) == a_withdrawn(delete_by=None, reason="refused")
    for stopped in (refused, recalled):
        with pytest.raises(InvalidTransition):
            decide(stopped.state, ConfirmDeletion(REFERRAL), a_context())


def test_a_lapsed_request_expires_by_event_as_by_timer() -> None:
    """The timers of both services end the same wait on the same day with the same result."""
    lapsed = decide(a_case(an_awaiting()), lost("lapsed"), a_context())

    assert after(lapsed) == an_expired("awaiting_consent", an_awaiting().lapse_on)
