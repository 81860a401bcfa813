"""A case is opened, understood and referred: each step, each refusal, and each pair of both."""

import json
from typing import Any

import msgspec
import pytest

from contracts import referral as told
from services.kernel.decider.decision import Decision, TimerFired
from services.kernel.errors import InvalidTransition, NotFound, Refused
from services.referral import domain_refusals as no
from services.referral.domain import also, decide
from services.referral.domain.commands import (
    AcceptReferral,
    NoteViews,
    OfReferral,
    View,
)
from services.referral.domain.states import (
    Accepted,
    Case,
    Expected,
    Lost,
    Offer,
    Referral,
    State,
)
from tests.examples_referral import (
    CASE,
    CHILD,
    DEPARTMENT,
    KERTEMINDE,
    MUNICIPALITY,
    NOW,
    OFFER,
    ORGANISATION,
    PRIVATE,
    REFERRAL,
    SECRETS,
    TENANT,
    a_case,
    a_consent,
    a_draft,
    a_plan,
    a_sent,
    adopted,
    an_eligibility,
    an_offer,
    an_organisation,
    consent_of,
    custody_recorded,
    given,
    lost,
    news,
    published,
    referrals,
    steps,
    to_assess,
    to_draft,
    to_note_views,
    to_open_case,
)


def after(decision: Decision) -> Referral:
    """Return the referral as a decision leaves it."""
    case: Case = decision.state
    return case.referrals[REFERRAL]


def outcome_of(state: State, trigger: Any) -> str:
    """Return + where a step moves something, = where it was taken before, and . where it does not fit."""
    try:
        decision = decide(state, trigger, given())
    except InvalidTransition:
        return "."
    return "=" if decision.state is state and not decision.events and not decision.others else "+"


# Each row is a status, each column a step, in the order of `steps`.
TABLE = {
    #                    await, send, see, accept, decline, recall, confirm
    "drafted":          "+      .     .    .       .        +       .",
    "awaiting_consent": "=      .     .    .       .        +       .",
    "ready":            ".      +     .    .       .        +       .",
    "sent":             ".      =     +    +       +        +       .",
    "seen":             ".      .     =    +       +        +       .",
    "accepted":         ".      .     .    =       .        +       .",
    "under_way":        ".      .     .    .       .        +       .",
    "closed":           ".      .     .    .       .        .       .",
    "declined":         ".      .     .    .       =        .       .",
    "recalled":         ".      .     .    .       .        =       +",
    "withdrawn":        ".      .     .    .       .        .       +",
    "expired":          ".      .     .    .       .        .       .",
}  # fmt: skip

# Each row is a status, each column an event, in the order of `news`.
HEARD = {
    #                    granted, lost, lapsed, in force, ended
    "drafted":          "=        =     =       =         =",
    "awaiting_consent": "+        +     +       =         =",
    "ready":            "=        +     +       =         =",
    "sent":             "=        +     +       =         =",
    "seen":             "=        +     +       =         =",
    "accepted":         "=        +     +       +         +",
    "under_way":        "=        +     +       =         +",
    "closed":           "=        +     +       =         =",
    "declined":         "=        =     =       =         =",
    "recalled":         "=        =     =       =         =",
    "withdrawn":        "=        =     =       =         =",
    "expired":          "=        =     =       =         =",
}  # fmt: skip


@pytest.mark.parametrize("referral", referrals(), ids=list(TABLE))
def test_each_step_fits_only_where_the_table_says_so(referral: Referral) -> None:
    """Whatever is asked of a referral, in whatever state: it moves, it is so already, or it is refused."""
    case = a_case(referral, consent_of(referral))

    outcomes = [outcome_of(case, step) for step in steps()]

    assert outcomes == TABLE[str(referral.__struct_config__.tag)].split()


@pytest.mark.parametrize("referral", referrals(), ids=list(HEARD))
def test_what_is_heard_moves_a_referral_only_where_the_table_says_so(referral: Referral) -> None:
    """Whatever is heard about a referral, in whatever state, is taken: it moves the referral or leaves it."""
    case = a_case(referral, consent_of(referral))

    moved = [after(decide(case, event, given())) != referral for event in news()]

    assert ["+" if each else "=" for each in moved] == HEARD[str(referral.__struct_config__.tag)].split()


@pytest.mark.parametrize("step", steps())
def test_nothing_can_be_asked_of_a_referral_that_is_not_there(step: OfReferral) -> None:
    """Neither a case nor a referral that does not exist can be moved."""
    with pytest.raises(NotFound):
        decide(None, step, given())
    with pytest.raises(NotFound):
        decide(a_case(), step, given())


@pytest.mark.req("K6")
def test_opening_a_case_follows_the_model_of_the_municipality() -> None:
    """A case follows one version of one model from the day it is opened."""
    decision = decide(None, to_open_case(), given())

    assert decision.state == a_case(views=None, eligibility=None, custody=None)
    assert decision.events == (
        told.CaseOpened(
            department_id=DEPARTMENT,
            caseworker_id=decision.state.caseworker_id,
            model="kerteminde",
            model_version=1,
        ),
    )
    assert also(None, to_open_case()) == (MUNICIPALITY,)


def test_a_case_is_opened_once() -> None:
    """A second opening changes nothing; under another child it is refused."""
    case = a_case()

    assert decide(case, to_open_case(), given()) == Decision(case)
    with pytest.raises(no.CaseExists):
        decide(case, to_open_case(child_id=OFFER), given())


def test_no_case_is_opened_without_a_model() -> None:
    """A municipality first adopts a model that this installation knows."""
    with pytest.raises(no.ModelMissing):
        decide(None, to_open_case(), given(others={}))
    with pytest.raises(no.ModelMissing):
        decide(None, to_open_case(), given(models={}))


def test_what_was_heard_before_the_opening_is_kept() -> None:
    """Custody or a lost consent may be heard before the case is: it is not forgotten."""
    expected = decide(None, custody_recorded(), given()).state
    expected = decide(expected, lost(), given()).state

    case = decide(expected, to_open_case(), given()).state

    assert isinstance(expected, Expected)
    assert case.custody == a_case().custody
    assert case.consents == {REFERRAL: Lost("withdrawn")}


def test_nothing_personal_leaves_the_seals() -> None:
    """No name, birth date or sentence stands in a state, an event, a timer or an effect."""
    steps_of_a_story = (to_open_case(), to_note_views(), to_assess(), to_draft())
    state: Any = None
    bodies: list[Any] = []
    sealed: dict[str, Any] = {}
    for step in steps_of_a_story:
        decision = decide(state, step, given())
        state = decision.state
        bodies += [event.model_dump(mode="json") for event in decision.events]
        bodies += [msgspec.to_builtins((state, decision.timers, decision.effects))]
        sealed |= {seal.name: seal.value for seal in decision.private_values}

    said, kept = json.dumps(bodies), json.dumps(sealed)

    assert [secret for secret in SECRETS if secret in said] == []
    assert [secret for secret in SECRETS if secret not in kept] == []


@pytest.mark.req("H1")
def test_the_views_of_child_and_family_are_sealed_and_their_answers_told() -> None:
    """Child and family say how they see it; only that they were heard is told on."""
    decision = decide(a_case(views=None), to_note_views(), given())

    assert decision.events == (told.ViewsNoted(child="heard", family="heard"),)
    assert {seal.name: seal.subject for seal in decision.private_values} == {
        "child_view": CHILD,
        "family_view": CASE,
    }


@pytest.mark.req("H1")
@pytest.mark.parametrize(
    ("view", "refusal"),
    [
        (View(answer="heard"), no.ViewMissing),
        (View(answer="not_heard"), no.ViewMissing),
        (View(answer="perhaps", view="yes"), no.CodeUnknown),
    ],
)
def test_a_view_is_heard_or_there_is_a_reason_why_not(view: View, refusal: type[Refused]) -> None:
    """The child's voice is a step that cannot be skipped."""
    with pytest.raises(refusal):
        decide(a_case(), NoteViews(child=view, family=View(answer="declined")), given())


@pytest.mark.req("K6")
@pytest.mark.req("N4")
def test_eligibility_gives_a_reason_for_each_answer() -> None:
    """Each criterion of the model is answered by a reason of the model, and the judgement is kept."""
    decision = decide(a_case(eligibility=None), to_assess(), given())

    assert decision.events == (
        told.EligibilityAssessed(
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
    assert also(a_case(), to_assess()) == (OFFER,)


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
def test_whoever_is_outside_the_target_group_is_told_why(
    changes: dict[str, Any], private: dict[str, str], reason: str
) -> None:
    """Age, residence, what is lacking and what the offer covers decide, by the model's data."""
    decision = decide(a_case(), to_assess(**changes), given(private=private))

    assert not decision.state.eligibility.eligible
    assert reason in decision.state.eligibility.reasons


@pytest.mark.req("K6")
def test_the_day_before_the_eighteenth_birthday_is_within() -> None:
    """The target group ends with the 18th birthday, not with the year before it."""
    private = {"born": "2008-03-03", "residence": TENANT}

    decision = decide(a_case(), to_assess(offer_id=None), given(private=private))

    assert "age_within" in decision.state.eligibility.reasons


@pytest.mark.req("S1")
@pytest.mark.parametrize("tenant", ["0461", "0410"])
def test_an_offer_may_be_shared_by_two_municipalities(tenant: str) -> None:
    """One organisation's talks are there for the children of Odense and of Middelfart."""
    here = given(
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

    decision = decide(a_case(), to_assess(answers=answers), given())

    assert decision.state.eligibility.statutory_channel
    assert not decision.state.eligibility.eligible
    assert [seal.value for seal in decision.private_values if seal.name == "judgement"] == [""]
    with pytest.raises(no.NotEligible):
        decide(decision.state, to_draft(), given())


@pytest.mark.req("K6")
@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"answers": {}}, no.AnswerMissing),
        ({"answers": {"mood": True}}, no.CodeUnknown),
        ({"theme": "astrology"}, no.CodeUnknown),
        ({"measure": "conversation"}, no.CodeUnknown),
        ({"conditions": ("money",)}, no.CodeUnknown),
        ({"factors": ("bad_luck",)}, no.CodeUnknown),
        ({"judgement": ""}, no.JudgementMissing),
        ({"offer_id": REFERRAL}, no.OfferUnknown),
    ],
)
def test_an_assessment_that_is_not_whole_is_refused(changes: dict[str, Any], refusal: type[Refused]) -> None:
    """Each criterion is answered, in the model's words, and judged in writing."""
    with pytest.raises(refusal):
        decide(a_case(), to_assess(**changes), given())


def test_nothing_is_decided_about_an_erased_child() -> None:
    """Where the birth date is gone, the age is unknown."""
    with pytest.raises(no.ChildErased):
        decide(a_case(), to_assess(), given(private={}))


@pytest.mark.req("N6")
def test_a_draft_names_offer_need_and_public_help() -> None:
    """The need is sealed; offer, purposes and the help that goes on are told."""
    decision = decide(a_case(), to_draft(), given())

    assert decision.state == a_case(a_draft())
    assert decision.events == (
        told.ReferralDrafted(
            referral_id=REFERRAL,
            organisation_id=ORGANISATION,
            offer_id=OFFER,
            purposes=("networks",),
            public_help=(told.PublicHelp(kind="school_support", department_id=DEPARTMENT),),
        ),
    )
    assert also(a_case(), to_draft()) == (OFFER, ORGANISATION)


@pytest.mark.req("K2")
@pytest.mark.req("H1")
@pytest.mark.req("N5")
@pytest.mark.parametrize(
    ("case", "changes", "others", "refusal"),
    [
        (a_case(), {"public_help": ()}, {}, no.PublicHelpMissing),
        (a_case(views=None), {}, {}, no.ViewsMissing),
        (a_case(eligibility=None), {}, {}, no.EligibilityMissing),
        (a_case(eligibility=an_eligibility(eligible=False)), {}, {}, no.NotEligible),
        (a_case(), {"purposes": ()}, {}, no.PurposeMissing),
        (a_case(), {"purposes": ("fun",)}, {}, no.CodeUnknown),
        (a_case(), {"organisation_id": CASE}, {}, no.OfferUnknown),
        (a_case(), {}, {OFFER: None}, no.OfferUnknown),
        (a_case(), {}, {OFFER: an_offer(age_to=7)}, no.OfferMismatch),
        (a_case(), {}, {OFFER: an_offer(areas=("0461",))}, no.OfferMismatch),
        (a_case(), {}, {OFFER: an_offer(theme="leisure")}, no.OfferMismatch),
        (a_case(), {}, {ORGANISATION: None}, no.OrganisationNotJoined),
        (a_case(), {}, {ORGANISATION: an_organisation(joined=False)}, no.OrganisationNotJoined),
    ],
)
def test_no_referral_is_drafted_before_all_is_settled(
    case: Case, changes: dict[str, Any], others: dict[Any, Any], refusal: type[Refused]
) -> None:
    """Public help goes on, the views are noted, the case is eligible, and the offer covers the need."""
    known = {OFFER: an_offer(), ORGANISATION: an_organisation(), **others}

    with pytest.raises(refusal):
        decide(case, to_draft(**changes), given(others=known))


def test_what_the_directory_says_is_remembered() -> None:
    """Models and offers are known from the directory; a new edition of an offer keeps its taken places."""
    offer = decide(None, published(), given()).state

    assert decide(None, adopted(), given()).state.model == "kerteminde"
    assert offer == an_offer(taken=0)
    assert decide(an_offer(taken=2), published(places=5), given()).state == an_offer(places=5, taken=2)


def test_states_survive_the_database() -> None:
    """Each state reads back as it was written."""
    decoder = msgspec.json.Decoder(State)
    states = [a_case(referral, consent_of(referral)) for referral in referrals()]

    assert [decoder.decode(msgspec.json.encode(state)) for state in states] == states
    assert isinstance(decoder.decode(msgspec.json.encode(an_offer())), Offer)
    assert isinstance(
        after(decide(a_case(a_sent(), a_consent()), AcceptReferral(REFERRAL), given())), Accepted
    )


def test_a_timer_of_something_unknown_wakes_nobody() -> None:
    """A timer may outlive what it was set for."""
    fired = TimerFired("clock", REFERRAL, NOW)

    assert decide(None, fired, given()) == Decision(None)
    assert decide(a_case(), fired, given()).events == ()
    assert a_plan().offer_id == OFFER
    assert KERTEMINDE.ref == "kerteminde/1"
