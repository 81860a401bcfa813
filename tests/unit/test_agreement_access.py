"""Access to agreements: who may act and read, and what each sees."""

from typing import Any, Final
from uuid import UUID

import pytest
from msgspec.structs import replace

from contracts.consent import ConsentTicked
from services.agreement.domain.access import authorize, visible_to
from services.agreement.domain.commands import ReportProgress
from services.agreement.domain.states import Case, agreement_of
from services.agreement.subscriptions import SUBSCRIBES_TO
from services.agreement.views import view_of
from services.kernel.decider.decision import Actor, ReadRequest
from services.kernel.errors import ConsentUnknown
from tests.examples_agreement import (
    AGREEMENT,
    CASE,
    CASEWORKER,
    COORDINATOR,
    GOAL,
    GUARDIAN,
    MOTHER,
    NEXT_YEAR,
    NOW,
    ORGANISATION,
    REFERRAL,
    TENANT,
    UPDATE_DUE,
    YOUNG,
    YOUNG_PERSON,
    a_case,
    a_proposed,
    about,
    agreements,
    an_adjustable,
    an_ended,
    an_in_force,
    consumed,
    context,
    to_end,
    to_hold,
    to_propose,
    to_report,
    to_sign,
)

READ: Final = ReadRequest(("agreement",))
STRANGERS: Final = (
    Actor(CASEWORKER.id, "caseworker", TENANT, department_id=UUID(int=1)),
    Actor(CASEWORKER.id, "caseworker", TENANT),
    Actor(COORDINATOR.id, "coordinator", TENANT, organisation_id=UUID(int=1)),
    Actor(COORDINATOR.id, "coordinator", TENANT),
    Actor(UUID(int=1), "guardian", TENANT),
    Actor(UUID(int=1), "young_person", TENANT),
    Actor(MOTHER, "leader", TENANT),
    Actor(MOTHER, "auditor", TENANT),
    Actor(MOTHER, "operator", TENANT),
    Actor(MOTHER, "administrator", TENANT),
    Actor(MOTHER, "bridge_builder", TENANT),
)
EVERYTHING: Final[tuple[Any, ...]] = (
    READ,
    to_hold(),
    to_propose(),
    to_sign("municipality"),
    to_sign("organisation"),
    to_sign("family"),
    to_sign("young_person"),
    to_report(),
    to_end(),
)


def allowed(actor: Actor, case: Case) -> list[Any]:
    """Return what an actor may do."""
    return [trigger for trigger in EVERYTHING if authorize(case, trigger, context(actor))]


@pytest.mark.req("N7")
def test_each_signs_for_their_own_party() -> None:
    """A name under an agreement is its owner's own."""
    case = a_case(a_proposed(), young_person_id=YOUNG, quorum="young_person_and_holders")

    assert allowed(CASEWORKER, case) == [READ, to_hold(), to_propose(), to_sign("municipality"), to_end()]
    assert allowed(COORDINATOR, case) == [
        READ,
        to_hold(),
        to_sign("organisation"),
        to_report(),
        to_end(),
    ]
    assert allowed(GUARDIAN, case) == [READ, to_sign("family"), to_end()]
    assert allowed(YOUNG_PERSON, case) == [READ, to_sign("young_person"), to_end()]


@pytest.mark.parametrize("actor", STRANGERS, ids=lambda actor: actor.role)
def test_strangers_are_refused_everything(actor: Actor) -> None:
    """A role alone opens nothing: another department, another club, another child's parent, a leader."""
    for agreement in agreements():
        assert allowed(actor, a_case(agreement)) == []
    assert not authorize(None, READ, context(actor))


@pytest.mark.req("K3")
@pytest.mark.parametrize(
    "consents",
    [{}, {REFERRAL: None}, {REFERRAL: NOW}, {CASE: NEXT_YEAR}],
    ids=["none", "lost", "past", "other"],
)
def test_without_a_valid_consent_an_organisation_can_only_stop(consents: dict[UUID, Any]) -> None:
    """What the organisation sees and says ends with the consent; its way out stays open."""
    case = a_case(an_in_force(), consents=consents)

    assert allowed(COORDINATOR, case) == [to_end()]
    assert visible_to(case, COORDINATOR, NOW) == {}


@pytest.mark.req("K3")
def test_an_organisation_waits_while_consents_are_unknown() -> None:
    """A consent service whose events do not arrive can delay, never leak."""
    case = a_case(an_in_force())

    for trigger in (READ, to_hold(), to_sign("organisation"), to_report()):
        with pytest.raises(ConsentUnknown):
            authorize(case, trigger, context(COORDINATOR, consents_fresh=False))
    assert authorize(case, to_end(), context(COORDINATOR, consents_fresh=False))
    assert authorize(case, READ, context(GUARDIAN, consents_fresh=False))
    assert ConsentTicked in SUBSCRIBES_TO


def test_an_organisation_sees_its_own_agreement_only() -> None:
    """Two clubs around one child do not read each other's agreement; what is over is closed to both."""
    other, theirs = agreement_of(CASE), replace(about(), organisation_id=UUID(int=7), referral_id=CASE)
    case = a_case(
        agreements={AGREEMENT: an_in_force(), other: an_in_force(about=theirs)},
        consents={REFERRAL: NEXT_YEAR, CASE: NEXT_YEAR},
    )

    assert set(visible_to(case, COORDINATOR, NOW)) == {AGREEMENT}
    assert set(visible_to(case, GUARDIAN, NOW)) == {AGREEMENT, other}
    assert not authorize(case, ReportProgress(other, "steady", "well"), context(COORDINATOR))
    assert not authorize(a_case(an_ended()), READ, context(COORDINATOR))
    assert authorize(a_case(an_ended()), READ, context(GUARDIAN))


def test_a_young_person_of_age_speaks_for_themselves() -> None:
    """At eighteen there are no guardians any more: the young person signs for the family, and ends it."""
    case = a_case(a_proposed(), guardians=(), young_person_id=YOUNG, quorum="young_person")

    assert allowed(YOUNG_PERSON, case) == [READ, to_sign("family"), to_end()]
    assert allowed(GUARDIAN, case) == []


def test_a_child_who_does_not_decide_yet_may_read() -> None:
    """A twelve-year-old reads the agreement; signing and ending lie with the guardians."""
    case = a_case(an_in_force(), young_person_id=YOUNG)

    assert to_end() not in allowed(YOUNG_PERSON, case)
    assert READ in allowed(YOUNG_PERSON, case)


@pytest.mark.req("H2")
def test_the_words_of_an_agreement_are_shown_to_its_parties() -> None:
    """Goal, actions and who answers stand together; erased words leave the outline."""
    case = a_case(an_in_force(), attained={GOAL: "reached"})
    action = {"text": "fetches her on Tuesdays", "responsible": "organisation"}
    private = {
        f"goals:{AGREEMENT}:1": [{"goal_id": str(GOAL), "text": "friends", "actions": [action]}],
        f"wants:{AGREEMENT}:1": {"family": "hope"},
        f"cost:{AGREEMENT}:1": "",
    }

    shown = view_of(case, AGREEMENT, case.agreements[AGREEMENT], private)
    erased = view_of(case, AGREEMENT, case.agreements[AGREEMENT], {})

    assert shown.terms is not None
    assert erased.terms is not None
    assert shown.terms.goals[0].model_dump() == {
        "goal_id": GOAL,
        "purpose": "networks",
        "responsible": "organisation",
        "text": "friends",
        "actions": [action],
        "attainment": "reached",
    }
    assert shown.terms.wants == {"family": "hope"}
    assert (erased.terms.goals[0].text, erased.terms.goals[0].actions) == (None, [])
    assert shown.next_update is not None
    assert shown.next_update.due_on == UPDATE_DUE


@pytest.mark.parametrize("agreement", [*agreements(), an_adjustable()])
def test_every_agreement_can_be_shown(agreement: Any) -> None:
    """Whatever state it is in, its parties find it, with what they must sign."""
    shown = view_of(a_case(agreement), AGREEMENT, agreement, {})

    assert (shown.agreement_id, shown.organisation_id) == (AGREEMENT, ORGANISATION)
    assert shown.must_sign == ["municipality", "organisation", "family"]


def test_every_subscription_has_an_example() -> None:
    """Each kind of event of the examples is consumed."""
    assert {type(event) for event in consumed()} | {ConsentTicked} == set(SUBSCRIBES_TO)
