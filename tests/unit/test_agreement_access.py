"""Who may act and look in an agreement, what each sees, and what waits for whom."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import pytest
from msgspec.structs import replace

from contracts.consent import ConsentTicked
from services.agreement.domain.access import authorize, visible_to
from services.agreement.domain.commands import ReportProgress
from services.agreement.domain.deadlines import work_items_of
from services.agreement.domain.states import Case, agreement_of
from services.agreement.projections import LEAST_SHOWN
from services.agreement.subscriptions import SUBSCRIBES_TO
from services.agreement.views import view_of
from services.kernel.decider.decision import Actor, ReadRequest
from services.kernel.decider.work_items import WorkItem, owner_of
from services.kernel.errors import ConsentUnknown, NotAllowed
from tests.examples_agreement import (
    AGREEMENT,
    CASE,
    CASEWORKER,
    COORDINATOR,
    DEPARTMENT,
    FATHER,
    GOAL,
    GUARDIAN,
    MEETING_BY,
    MOTHER,
    NEXT_YEAR,
    NOW,
    ORGANISATION,
    REFERRAL,
    STARTS,
    TENANT,
    TODAY,
    UPDATE_DUE,
    YOUNG,
    YOUNG_PERSON,
    a_case,
    a_met,
    a_proposed,
    about,
    agreements,
    an_adjustable,
    an_ended,
    an_in_force,
    an_invited,
    given,
    news,
    to_end,
    to_hold,
    to_propose,
    to_report,
    to_sign,
)

LOOK: Final = ReadRequest(("agreement",))
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
    LOOK,
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
    return [asked for asked in EVERYTHING if authorize(case, asked, given(actor))]


@pytest.mark.req("N7")
def test_each_signs_for_their_own_party() -> None:
    """Nobody's name stands under an agreement but by their own hand."""
    case = a_case(a_proposed(), young_person_id=YOUNG, quorum="young_person_and_holders")

    assert allowed(CASEWORKER, case) == [LOOK, to_hold(), to_propose(), to_sign("municipality"), to_end()]
    assert allowed(COORDINATOR, case) == [
        LOOK,
        to_hold(),
        to_sign("organisation"),
        to_report(),
        to_end(),
    ]
    assert allowed(GUARDIAN, case) == [LOOK, to_sign("family"), to_end()]
    assert allowed(YOUNG_PERSON, case) == [LOOK, to_sign("young_person"), to_end()]


@pytest.mark.parametrize("actor", STRANGERS, ids=lambda actor: actor.role)
def test_strangers_are_refused_everything(actor: Actor) -> None:
    """A role alone opens nothing: another department, another club, another child's parent, a leader."""
    for agreement in agreements():
        assert allowed(actor, a_case(agreement)) == []
    assert not authorize(None, LOOK, given(actor))


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
def test_an_organisation_waits_while_consents_are_not_known_for_sure() -> None:
    """A consent service that is not heard can delay, never leak."""
    case = a_case(an_in_force())

    for asked in (LOOK, to_hold(), to_sign("organisation"), to_report()):
        with pytest.raises(ConsentUnknown):
            authorize(case, asked, given(COORDINATOR, consents_fresh=False))
    assert authorize(case, to_end(), given(COORDINATOR, consents_fresh=False))
    assert authorize(case, LOOK, given(GUARDIAN, consents_fresh=False))
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
    assert not authorize(case, ReportProgress(other, "steady", "well"), given(COORDINATOR))
    assert not authorize(a_case(an_ended()), LOOK, given(COORDINATOR))
    assert authorize(a_case(an_ended()), LOOK, given(GUARDIAN))


def test_a_young_person_of_age_speaks_for_themselves() -> None:
    """At eighteen there are no guardians any more: the young person signs for the family, and ends it."""
    case = a_case(a_proposed(), guardians=(), young_person_id=YOUNG, quorum="young_person")

    assert allowed(YOUNG_PERSON, case) == [LOOK, to_sign("family"), to_end()]
    assert allowed(GUARDIAN, case) == []


def test_a_child_who_does_not_decide_yet_may_look() -> None:
    """A twelve-year-old reads the agreement; signing and ending lie with the guardians."""
    case = a_case(an_in_force(), young_person_id=YOUNG)

    assert to_end() not in allowed(YOUNG_PERSON, case)
    assert LOOK in allowed(YOUNG_PERSON, case)


def rows(waits: Iterable[WorkItem]) -> list[tuple[str, UUID, str, Any]]:
    """Return what waits, for whom, and by when."""
    return [(wait.role, wait.owner_id, wait.what, wait.due_on) for wait in waits]


def to_all(what: str, due_on: Any) -> list[tuple[str, UUID, str, Any]]:
    """Return one thing that waits for all parties."""
    return [
        ("caseworker", DEPARTMENT, what, due_on),
        ("coordinator", ORGANISATION, what, due_on),
        ("guardian", MOTHER, what, due_on),
        ("guardian", FATHER, what, due_on),
    ]


def test_everybody_knows_what_waits_for_them() -> None:
    """Meeting and signature wait for all, the writing for the caseworker, an update for the club."""
    assert rows(work_items_of(a_case(an_invited()))) == to_all("meeting", MEETING_BY)
    assert rows(work_items_of(a_case(a_met()))) == [("caseworker", DEPARTMENT, "proposal", None)]
    assert rows(work_items_of(a_case(a_proposed()))) == to_all("signature", STARTS)
    assert rows(work_items_of(a_case(a_proposed("family")))) == to_all("signature", STARTS)[:2]
    assert rows(work_items_of(a_case(an_adjustable("family", "organisation")))) == [
        ("caseworker", DEPARTMENT, "progress_missing", UPDATE_DUE),
        ("coordinator", ORGANISATION, "progress", UPDATE_DUE),
        ("caseworker", DEPARTMENT, "signature", STARTS),
    ]
    assert rows(work_items_of(a_case(an_in_force(adjustable=True))))[2:] == [
        ("caseworker", DEPARTMENT, "proposal", None)
    ]
    assert work_items_of(a_case(an_ended())) == ()


@pytest.mark.req("N9")
def test_a_missing_update_is_shown_to_the_caseworker_only_once_it_is_missing() -> None:
    """The organisation sees its next update at once, the caseworker the day after it should have come."""
    chase, report = work_items_of(a_case(an_in_force()))

    assert (chase.role, chase.shown_from) == ("caseworker", UPDATE_DUE + timedelta(days=1))
    assert (report.role, report.shown_from, report.until) == ("coordinator", TODAY, NEXT_YEAR)


@pytest.mark.req("K3")
def test_a_list_shows_an_organisation_nothing_without_consent() -> None:
    """Not even an id waits in an organisation's list once the consent is lost, or before it is known."""
    for consents in ({}, {REFERRAL: None}):
        waits = work_items_of(a_case(an_invited(), consents=consents))
        assert "coordinator" not in {wait.role for wait in waits}
    assert work_items_of(Case(agreements={AGREEMENT: an_invited()})) == ()


def test_a_young_person_finds_their_own_signature() -> None:
    """Who must sign besides the guardians is told so; who is of age is told in the family's place."""
    fifteen = a_case(
        a_proposed("municipality", "organisation", "family"),
        young_person_id=YOUNG,
        quorum="young_person_and_holders",
    )
    of_age = a_case(
        a_proposed("municipality", "organisation"), guardians=(), young_person_id=YOUNG, quorum="young_person"
    )

    assert rows(work_items_of(fifteen)) == rows(work_items_of(of_age))
    assert rows(work_items_of(of_age)) == [("young_person", YOUNG, "signature", STARTS)]


def test_everybody_has_one_list() -> None:
    """A caseworker reads the department's, a coordinator the organisation's, a guardian their own."""
    assert [owner_of(actor) for actor in (CASEWORKER, COORDINATOR, GUARDIAN, YOUNG_PERSON)] == [
        DEPARTMENT,
        ORGANISATION,
        MOTHER,
        YOUNG,
    ]
    for actor in (Actor(MOTHER, "leader", TENANT), Actor(MOTHER, "caseworker", TENANT)):
        with pytest.raises(NotAllowed):
            owner_of(actor)


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


def test_all_that_is_heard_is_said_why() -> None:
    """Each kind of news of the examples is heard, and the figures keep small groups back."""
    assert {type(event) for event in news()} | {ConsentTicked} == set(SUBSCRIBES_TO)
    assert LEAST_SHOWN == 5
