"""Eligibility by the model's criteria, and what a draft requires."""

from typing import Any

import pytest

from contracts import referral as events
from services.kernel.errors import Refused
from services.referral.domain import refusals
from services.referral.domain.lifecycle import decide, related_streams
from services.referral.domain.states import (
    Case,
    Help,
)
from tests.examples_referral import (
    CASE,
    DEPARTMENT,
    KERTEMINDE,
    MUNICIPALITY,
    OFFER,
    ORGANISATION,
    PRIVATE,
    REFERRAL,
    TENANT,
    a_case,
    a_context,
    a_draft,
    a_municipality,
    an_eligibility,
    an_offer,
    an_organisation,
    to_assess,
    to_draft,
)


@pytest.mark.req("K6")
@pytest.mark.req("N4")
def test_eligibility_gives_a_reason_for_each_answer() -> None:
    """Each criterion of the model is answered by a reason of the model, and the judgement is kept."""
    decision = decide(a_case(eligibility=None), to_assess(), a_context())

    assert decision.events == (
        events.EligibilityAssessed(
            eligible=True,
            reasons=(
                "age_within",
                "lives_here",
                "difficult_situation",
                "condition_lacking",
                "contact_wished",
                "offer_matches",
                "help_expected",
                "no_serious_concern",
            ),
        ),
    )
    assert related_streams(a_case(), to_assess()) == (OFFER,)


@pytest.mark.req("K6")
@pytest.mark.req("N5")
@pytest.mark.parametrize(
    ("changes", "private", "reason"),
    [
        ({}, {"born": "2008-03-02", "residence": TENANT}, "age_outside"),
        ({}, {"born": "2017-05-04", "residence": "0461"}, "lives_elsewhere"),
        ({"conditions": ()}, PRIVATE, "no_condition_lacking"),
        ({"theme": "leisure", "measure": "leisure_activity"}, PRIVATE, "no_offer_matches"),
    ],
)
def test_each_exclusion_from_the_target_group_has_its_reason(
    changes: dict[str, Any], private: dict[str, str], reason: str
) -> None:
    """Age, residence, what is lacking and what the offer covers decide, by the model's data."""
    decision = decide(a_case(), to_assess(**changes), a_context(private=private))

    assert not decision.state.eligibility.eligible
    assert reason in decision.state.eligibility.reasons


@pytest.mark.req("K6")
def test_the_day_before_the_eighteenth_birthday_is_within() -> None:
    """The target group ends with the 18th birthday, not with the year before it."""
    private = {"born": "2008-03-03", "residence": TENANT}

    decision = decide(a_case(), to_assess(offer_id=None), a_context(private=private))

    assert "age_within" in decision.state.eligibility.reasons


@pytest.mark.req("S1")
@pytest.mark.parametrize("tenant", ["0461", "0410"])
def test_an_offer_may_be_shared_by_two_municipalities(tenant: str) -> None:
    """One organisation's talks are there for the children of Odense and of Middelfart."""
    here = a_context(
        tenant=tenant,
        private={"born": "2017-05-04", "residence": tenant},
        others={OFFER: an_offer(areas=("0461", "0410"))},
    )

    decision = decide(a_case(), to_assess(), here)

    assert decision.state.eligibility.eligible


@pytest.mark.req("N5")
def test_a_serious_concern_excludes_and_no_word_of_it_is_kept() -> None:
    """Serious concern belongs in the statutory channel: no referral, and nothing is written down here."""
    answers = {"situation": True, "wish": True, "judged_helpful": True, "serious_concern": True}

    decision = decide(a_case(), to_assess(answers=answers), a_context())

    assert decision.state.eligibility.statutory_channel
    assert not decision.state.eligibility.eligible
    assert [one.value for one in decision.private_values if one.name == "judgement"] == [""]
    with pytest.raises(refusals.NotEligible):
        decide(decision.state, to_draft(), a_context())


@pytest.mark.req("K6")
@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"answers": {}}, refusals.AnswerMissing),
        ({"answers": {"mood": True}}, refusals.CodeUnknown),
        ({"theme": "astrology"}, refusals.CodeUnknown),
        ({"measure": "conversation"}, refusals.CodeUnknown),
        ({"conditions": ("money",)}, refusals.CodeUnknown),
        ({"factors": ("bad_luck",)}, refusals.CodeUnknown),
        ({"judgement": ""}, refusals.JudgementMissing),
        ({"offer_id": REFERRAL}, refusals.OfferUnknown),
    ],
)
def test_an_assessment_that_is_not_whole_is_refused(changes: dict[str, Any], refusal: type[Refused]) -> None:
    """Each criterion is answered, in the model's words, and judged in writing."""
    with pytest.raises(refusal):
        decide(a_case(), to_assess(**changes), a_context())


@pytest.mark.req("K6")
@pytest.mark.parametrize("by", ["age", "residence", "condition"])
def test_what_is_reckoned_is_not_answered_by_hand(by: str) -> None:
    """An answer that would be ignored is refused, with the criterion and what it is reckoned from."""
    code = next(one.code for one in KERTEMINDE.eligibility if one.by == by)
    answers = {**to_assess().answers, code: True}

    with pytest.raises(refusals.CriterionReckoned) as refused:
        decide(a_case(), to_assess(answers=answers), a_context())
    assert refused.value.detail == f"{code}: {by}"


def test_nothing_is_decided_about_an_erased_child() -> None:
    """Where the birth date is gone, the age is unknown."""
    with pytest.raises(refusals.ChildErased):
        decide(a_case(), to_assess(), a_context(private={}))


@pytest.mark.req("N6")
def test_a_draft_names_offer_need_and_public_help() -> None:
    """The need is sealed; offer, purposes and the help that goes on are events."""
    decision = decide(a_case(), to_draft(), a_context())

    assert decision.state == a_case(a_draft())
    assert decision.events == (
        events.ReferralDrafted(
            referral_id=REFERRAL,
            organisation_id=ORGANISATION,
            offer_id=OFFER,
            purposes=("networks",),
            public_help=(events.PublicHelp(kind="school_support", department_id=DEPARTMENT),),
        ),
    )
    assert related_streams(a_case(), to_draft()) == (MUNICIPALITY, OFFER, ORGANISATION)


@pytest.mark.req("K2")
@pytest.mark.req("H1")
@pytest.mark.req("N5")
@pytest.mark.parametrize(
    ("case", "changes", "others", "refusal"),
    [
        (a_case(), {"public_help": ()}, {}, refusals.PublicHelpMissing),
        (a_case(views=None), {}, {}, refusals.ViewsMissing),
        (a_case(eligibility=None), {}, {}, refusals.EligibilityMissing),
        (a_case(eligibility=an_eligibility(eligible=False)), {}, {}, refusals.NotEligible),
        (a_case(), {"public_help": (Help("school_support", OFFER),)}, {}, refusals.DepartmentUnknown),
        (a_case(), {}, {MUNICIPALITY: None}, refusals.DepartmentUnknown),
        (a_case(), {"purposes": ()}, {}, refusals.PurposeMissing),
        (a_case(), {"purposes": ("fun",)}, {}, refusals.CodeUnknown),
        (a_case(), {"organisation_id": CASE}, {}, refusals.OfferUnknown),
        (a_case(), {}, {OFFER: None}, refusals.OfferUnknown),
        (a_case(), {}, {OFFER: an_offer(age_to=7)}, refusals.OfferMismatch),
        (a_case(), {}, {OFFER: an_offer(areas=("0461",))}, refusals.OfferMismatch),
        (a_case(), {}, {OFFER: an_offer(theme="leisure")}, refusals.OfferMismatch),
        (a_case(), {}, {ORGANISATION: None}, refusals.OrganisationNotJoined),
        (a_case(), {}, {ORGANISATION: an_organisation(joined=False)}, refusals.OrganisationNotJoined),
    ],
)
def test_no_referral_is_drafted_before_all_is_settled(
    case: Case, changes: dict[str, Any], others: dict[Any, Any], refusal: type[Refused]
) -> None:
    """Public help goes on, the views are noted, the case is eligible, and the offer covers the need."""
    others = {MUNICIPALITY: a_municipality(), OFFER: an_offer(), ORGANISATION: an_organisation(), **others}

    with pytest.raises(refusal):
        decide(case, to_draft(**changes), a_context(others=others))
