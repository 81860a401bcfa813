"""The terms of an agreement: what a proposed version must settle, and how a new one follows."""

from datetime import date
from typing import Any

import pytest

from contracts import agreement as contract
from services.agreement.domain import refusals
from services.agreement.domain.lifecycle import decide
from services.agreement.domain.states import (
    InForce,
    Proposed,
)
from services.kernel.errors import InvalidTransition, Refused
from tests.examples_agreement import (
    AGREEMENT,
    ENDS,
    GOAL,
    ORGANISATION,
    REFERRAL,
    STARTS,
    TODAY,
    a_case,
    a_goal,
    a_met,
    a_proposed,
    after,
    an_in_force,
    concluded,
    context,
    in_force_event,
    terms,
    to_propose,
    to_sign,
)


@pytest.mark.req("N7")
@pytest.mark.req("H2")
def test_a_proposal_states_goals_actions_answers_and_rhythm() -> None:
    """What is agreed is written: goals with who answers, the follow-up rhythm, the duration and the cost."""
    decision = decide(a_case(a_met()), to_propose(), context())

    assert after(decision) == a_proposed()
    assert decision.events == (
        contract.AgreementProposed(
            agreement_id=AGREEMENT,
            referral_id=REFERRAL,
            organisation_id=ORGANISATION,
            version=1,
            goals=(contract.GoalOutline(goal_id=GOAL, purpose="networks", responsible="organisation"),),
            starts_on=STARTS,
            ends_on=ENDS,
            update_every_days=30,
            evaluate_every_days=90,
            cost="free",
        ),
    )
    assert {private.name: private.value for private in decision.private_values} == {
        f"goals:{AGREEMENT}:1": [
            {
                "goal_id": str(GOAL),
                "text": "two friends from playing football",
                "actions": [{"text": "the mentor fetches her on Tuesdays", "responsible": "organisation"}],
            }
        ],
        f"wants:{AGREEMENT}:1": to_propose().wants,
        f"cost:{AGREEMENT}:1": "",
    }


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        pytest.param({"goals": ()}, refusals.GoalMissing, marks=pytest.mark.req("H2")),
        pytest.param({"goals": (a_goal(text=" "),)}, refusals.GoalMissing, marks=pytest.mark.req("H2")),
        pytest.param({"goals": (a_goal(actions=()),)}, refusals.ActionMissing, marks=pytest.mark.req("H2")),
        pytest.param(
            {"goals": (a_goal(purpose="fame"),)}, refusals.PurposeUnknown, marks=pytest.mark.req("K5")
        ),
        pytest.param({"wants": {"family": "we hope"}}, refusals.WantMissing, marks=pytest.mark.req("H1")),
        pytest.param({"ends_on": STARTS}, refusals.DurationMissing, marks=pytest.mark.req("N3")),
        pytest.param(
            {"starts_on": date(2025, 1, 1), "ends_on": TODAY},
            refusals.DurationMissing,
            marks=pytest.mark.req("N3"),
        ),
        pytest.param({"cost": "to_settle"}, refusals.CostOpen, marks=pytest.mark.req("N13")),
        pytest.param({"cost": "paid"}, refusals.CostOpen, marks=pytest.mark.req("N13")),
        pytest.param({"payer": "family"}, refusals.CostOpen, marks=pytest.mark.req("N13")),
        pytest.param({"cost": "paid", "payer": "shared"}, refusals.CostOpen, marks=pytest.mark.req("N13")),
        pytest.param({"evaluate_every_days": 91}, refusals.RhythmTooSlow, marks=pytest.mark.req("N12")),
        pytest.param({"update_every_days": 91}, refusals.RhythmTooSlow, marks=pytest.mark.req("N9")),
    ],
)
def test_what_an_agreement_must_settle_cannot_be_left_open(
    changes: dict[str, Any], refusal: type[Refused]
) -> None:
    """Nothing is laid ready to be signed while a goal, a party's want, the duration or the cost is open."""
    with pytest.raises(refusal):
        decide(a_case(a_met()), to_propose(**changes), context())


@pytest.mark.req("N13")
def test_who_pays_what_is_settled_before_the_start() -> None:
    """A shared cost names its payer as a code and the shares in words, which are private."""
    decision = decide(
        a_case(a_met()), to_propose(cost="paid", payer="shared", cost_text="bus fares: family"), context()
    )
    agreement = after(decision)

    assert isinstance(agreement, Proposed)
    assert (agreement.proposal.terms.cost, agreement.proposal.terms.payer) == ("paid", "shared")
    assert "bus fares" in str(decision.private_values)


def test_a_new_proposal_takes_the_names_off_the_old_one() -> None:
    """Who signed version one has not signed version two."""
    decision = decide(a_case(a_proposed("municipality", "family")), to_propose(), context())
    agreement = after(decision)

    assert isinstance(agreement, Proposed)
    assert agreement.proposal.terms == terms(2)
    assert agreement.proposal.signed == ()
    with pytest.raises(refusals.VersionPast):
        decide(decision.state, to_sign(version=1), context())


@pytest.mark.req("N12")
@pytest.mark.req("H2")
def test_an_evaluation_can_ask_for_a_new_version() -> None:
    """Adjusted is the agreement in force once all have signed again; until then the old one stands."""
    with pytest.raises(InvalidTransition):
        decide(a_case(an_in_force()), to_propose(), context())
    asked = decide(a_case(an_in_force()), concluded("adjust", "works_in_part"), context())

    proposed = decide(asked.state, to_propose(ends_on=date(2026, 12, 1)), context())
    waiting = after(proposed)
    signed = proposed
    for party in ("municipality", "organisation", "family"):
        signed = decide(signed.state, to_sign(party, 2), context())
    running = after(signed)

    assert isinstance(waiting, InForce)
    assert waiting.terms == terms()
    assert isinstance(running, InForce)
    assert running.terms == terms(2, ends_on=date(2026, 12, 1))
    assert not running.adjustable
    assert signed.events[-1] == in_force_event(version=2, ends_on=date(2026, 12, 1))
    assert [timer.kind for timer in signed.timers if timer.due_at] == ["end"]
