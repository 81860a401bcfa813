"""Access to evaluations: who may speak, conclude and read, and what each reads."""

from typing import Any, Final
from uuid import UUID

import pytest
from msgspec.structs import replace

from contracts.consent import ConsentTicked
from services.evaluation.domain.access import authorize, visible_to
from services.evaluation.domain.states import Case, Spoken, words_name
from services.evaluation.subscriptions import SUBSCRIBES_TO
from services.evaluation.views.case import CollaborationView, collaborations_for
from services.kernel.decider.decision import Actor, ReadRequest
from services.kernel.errors import ConsentUnknown
from tests.examples_evaluation import (
    AGREEMENT,
    CASE,
    CASEWORKER,
    COORDINATOR,
    ENDS,
    EVALUATION,
    FATHER,
    FIRST,
    GOAL,
    GUARDIAN,
    MOTHER,
    NEXT_YEAR,
    NOW,
    ORGANISATION,
    REFERRAL,
    TENANT,
    TODAY,
    YOUNG,
    YOUNG_PERSON,
    a_case,
    a_concluded,
    a_due,
    a_running,
    about,
    an_over,
    collaborations,
    consumed,
    context,
    measured,
    to_conclude,
    to_hear,
    to_measure,
)

READ: Final = ReadRequest(("evaluations",))
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
VOICES: Final = tuple(to_hear(voice) for voice in ("child", "family", "organisation", "caseworker"))
EVERYTHING: Final[tuple[Any, ...]] = (READ, *VOICES, to_conclude(), to_measure())
CHILD, FAMILY, CLUB, _ = VOICES


def allowed(actor: Actor, case: Case) -> list[Any]:
    """Return what an actor may do."""
    return [trigger for trigger in EVERYTHING if authorize(case, trigger, context(actor))]


@pytest.mark.req("N12")
def test_each_speaks_for_their_own_side() -> None:
    """A caseworker writes down any voice, and concludes; everybody else speaks for themselves."""
    case = a_case(a_running(a_due()), young_person_id=YOUNG)

    assert allowed(CASEWORKER, case) == list(EVERYTHING)
    assert allowed(COORDINATOR, case) == [READ, CLUB]
    assert allowed(GUARDIAN, case) == [READ, FAMILY]
    assert allowed(YOUNG_PERSON, case) == [READ, CHILD]
    assert allowed(YOUNG_PERSON, replace(case, guardians=())) == [READ, CHILD, FAMILY]


@pytest.mark.parametrize("actor", STRANGERS, ids=lambda actor: actor.role)
def test_strangers_are_refused_everything(actor: Actor) -> None:
    """A role alone opens nothing: another department, another club, another child's parent, a leader."""
    for collaboration in collaborations():
        assert allowed(actor, a_case(collaboration)) == []
    assert not authorize(None, READ, context(actor))


@pytest.mark.req("K3")
@pytest.mark.parametrize("consents", [{}, {REFERRAL: None}, {REFERRAL: NOW}, {CASE: NEXT_YEAR}])
def test_without_a_valid_consent_an_organisation_sees_nothing(consents: dict[UUID, Any]) -> None:
    """What the organisation sees and says ends with the consent, and with the collaboration."""
    case = a_case(a_running(a_due()), consents=consents)

    assert allowed(COORDINATOR, case) == []
    assert visible_to(case, COORDINATOR, NOW) == {}
    assert allowed(COORDINATOR, a_case(an_over())) == []


@pytest.mark.req("K3")
def test_an_organisation_waits_while_consents_are_unknown() -> None:
    """A consent service whose events do not arrive can delay, never leak."""
    case = a_case(a_running(a_due()))

    for trigger in (READ, CLUB):
        with pytest.raises(ConsentUnknown):
            authorize(case, trigger, context(COORDINATOR, consents_fresh=False))
    assert not authorize(case, CHILD, context(COORDINATOR, consents_fresh=False))
    assert authorize(case, FAMILY, context(GUARDIAN, consents_fresh=False))
    assert {type(event) for event in consumed()} | {ConsentTicked} == set(SUBSCRIBES_TO)


def test_an_organisation_sees_its_own_collaboration_only() -> None:
    """Two clubs around one child do not read each other's evaluations."""
    theirs = replace(about(), organisation_id=UUID(int=7))
    case = a_case(collaborations={AGREEMENT: a_running(), CASE: a_running(about=theirs, evaluations={})})

    assert set(visible_to(case, COORDINATOR, NOW)) == {AGREEMENT}
    assert set(visible_to(case, GUARDIAN, NOW)) == {AGREEMENT, CASE}


def spoken_case() -> tuple[Case, dict[str, Any]]:
    """Return a case in which everybody has spoken, and the private values."""
    voices = (
        Spoken("child", "heard", CASEWORKER.id, "caseworker", TODAY),
        Spoken("family", "heard", MOTHER, "guardian", TODAY),
        Spoken("family", "heard", FATHER, "guardian", TODAY),
        Spoken("family", "heard", CASEWORKER.id, "caseworker", TODAY),
        Spoken("organisation", "heard", COORDINATOR.id, "coordinator", TODAY),
    )
    concluded = a_concluded(voices=voices)
    case = a_case(
        a_running(concluded, measured=measured("start"), outcomes={"end": {"coping_skills": "better"}}),
        young_person_id=YOUNG,
    )
    words = {words_name(EVALUATION, one.voice, one.by): f"{one.role} on {one.voice}" for one in voices}
    return case, {**words, f"note:{EVALUATION}": "goes on", f"scores:{AGREEMENT}:start": FIRST}


def shown(actor: Actor) -> CollaborationView:
    """Return what one reader sees of that case."""
    case, private = spoken_case()
    return collaborations_for(case, private, actor, NOW)[0]


def words(actor: Actor) -> list[str]:
    """Return the words that one reader reads."""
    return [voice.text for voice in shown(actor).evaluations[0].voices if voice.text]


@pytest.mark.req("H1")
def test_what_a_child_has_said_is_not_laid_before_others() -> None:
    """Each reads their own words and what was written down for their side; the caseworker reads all."""
    assert len(words(CASEWORKER)) == 5
    assert words(GUARDIAN) == ["guardian on family", "caseworker on family"]
    assert words(COORDINATOR) == ["coordinator on organisation"]
    assert words(YOUNG_PERSON) == ["caseworker on child"]
    assert [voice.mine for voice in shown(GUARDIAN).evaluations[0].voices] == [
        False,
        True,
        False,
        False,
        False,
    ]


@pytest.mark.req("N12")
def test_everybody_reads_what_was_decided() -> None:
    """The decision, its reason and each goal's attainment stand before all parties."""
    for actor in (CASEWORKER, COORDINATOR, GUARDIAN, YOUNG_PERSON):
        evaluation = shown(actor).evaluations[0]
        assert (evaluation.status, evaluation.decision, evaluation.reason) == (
            "concluded",
            "continue",
            "it_works",
        )
        assert (evaluation.attained, evaluation.note) == ({GOAL: "partly"}, "goes on")


@pytest.mark.req("S2")
def test_scores_are_for_the_family_and_the_municipality() -> None:
    """A child sees its own trend; the organisation learns only that it was measured."""
    for actor in (CASEWORKER, GUARDIAN, YOUNG_PERSON):
        assert shown(actor).measurements[0].scores == FIRST
        assert shown(actor).outcomes == {"end": {"coping_skills": "better"}}
    assert shown(COORDINATOR).measurements[0].scores is None
    assert shown(COORDINATOR).outcomes == {}


@pytest.mark.parametrize("collaboration", collaborations())
def test_every_collaboration_can_be_shown(collaboration: Any) -> None:
    """Whatever state it is in, the caseworker finds it, also when all words were erased."""
    (view,) = collaborations_for(a_case(collaboration), {}, CASEWORKER, NOW)

    assert (view.agreement_id, view.organisation_id) == (AGREEMENT, ORGANISATION)
    assert view.ended_on == (ENDS if view.status == "over" else None)
