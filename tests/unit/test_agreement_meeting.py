"""The start-up meeting of an agreement: the invitation, the reminders, and that it was held."""

from datetime import date, timedelta
from typing import Any

import pytest

from contracts import agreement as contract
from services.agreement.domain import refusals
from services.agreement.domain.lifecycle import decide
from services.agreement.domain.states import (
    Case,
    Ended,
    agreement_of,
)
from services.kernel.decider.decision import Decision
from services.kernel.errors import Refused
from tests.examples_agreement import (
    AGREEMENT,
    CASE,
    MEETING_BY,
    NOW,
    ORGANISATION,
    REFERRAL,
    TODAY,
    a_case,
    a_met,
    accepted,
    after,
    an_in_force,
    an_invited,
    case_opened,
    context,
    due,
    ended_event,
    fired,
    lost,
    to_hold,
)


@pytest.mark.req("N7")
def test_an_accepted_referral_invites_the_parties_to_a_meeting() -> None:
    """Family, caseworker and organisation are invited to meet by the day that the model's deadline gives."""
    decision = decide(a_case(), accepted(), context())

    assert decision.state == a_case(an_invited())
    assert decision.events == (
        contract.MeetingInvited(
            agreement_id=AGREEMENT, referral_id=REFERRAL, organisation_id=ORGANISATION, meeting_by=MEETING_BY
        ),
    )
    assert {timer.kind: timer.due_at for timer in decision.timers} == due(an_invited())
    assert decide(decision.state, accepted(), context()) == Decision(decision.state)


def test_an_acceptance_is_kept_before_the_case_is_opened() -> None:
    """The topics may bring the acceptance before the department and the guardians."""
    decision = decide(None, accepted(), context())

    assert decision.state == Case(agreements={AGREEMENT: an_invited()})
    assert decide(decision.state, case_opened(), context()).state.department_id is not None


def test_two_organisations_of_one_case_have_an_agreement_each() -> None:
    """Many referrals per case are normal, and none touches the other's agreement."""
    other = agreement_of(CASE)
    case = decide(a_case(an_in_force()), accepted(CASE), context()).state

    decision = decide(case, lost(), context())

    assert isinstance(decision.state.agreements[AGREEMENT], Ended)
    assert decision.state.agreements[other] == case.agreements[other]


@pytest.mark.req("N7")
def test_a_held_meeting_is_put_on_record_with_those_who_came() -> None:
    """The start-up meeting brings family, caseworker and organisation together."""
    decision = decide(a_case(an_invited()), to_hold(), context())

    assert after(decision) == a_met()
    assert decision.events == (
        contract.MeetingHeld(
            agreement_id=AGREEMENT,
            referral_id=REFERRAL,
            held_on=TODAY,
            attended=("caseworker", "child", "family", "organisation"),
        ),
    )
    assert {timer.kind: timer.due_at for timer in decision.timers} == dict.fromkeys(due(an_invited()))


@pytest.mark.req("H1")
@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"attended": ("caseworker", "organisation")}, refusals.PartyAbsent),
        ({"attended": ("family", "caseworker", "child")}, refusals.PartyAbsent),
        ({"held_on": TODAY + timedelta(days=1)}, refusals.MeetingAhead),
        ({"held_on": TODAY - timedelta(days=1)}, refusals.MeetingEarly),
    ],
)
def test_no_meeting_counts_without_the_family(changes: dict[str, Any], refusal: type[Refused]) -> None:
    """Child and family are part of the solution: what was held without them was no start-up meeting."""
    with pytest.raises(refusal):
        decide(a_case(an_invited()), to_hold(**changes), context())


def test_a_meeting_that_is_not_held_climbs_the_ladder_and_ends() -> None:
    """The leader has been reminded; after ten days more the offer is free for another child."""
    case = a_case(an_invited())
    rungs = due(an_invited())

    events = [decide(case, fired(kind, at or NOW), context()).events for kind, at in rungs.items()]

    assert [event.rung for each in events for event in each if isinstance(event, contract.MeetingNudged)] == [
        "reminder",
        "stand_in",
        "leader",
    ]
    assert events[-1] == (ended_event("no_meeting", date(2026, 3, 30)),)
