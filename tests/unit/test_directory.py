"""The directory: which model is followed, who takes part since when, what is offered to whom."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest

from contracts.directory import (
    CapacityChanged,
    DepartmentRegistered,
    ModelAdopted,
    OfferPublished,
    OrganisationJoined,
    OrganisationLeft,
)
from contracts.model_parts import LANGUAGES
from services.directory.domain import allows, also, decide
from services.directory.domain_commands import (
    AdoptModel,
    AgesOutside,
    ChangeCapacity,
    CodeUnknown,
    DeclarationMissing,
    ModelMissing,
    ModelUnknown,
    OrganisationMissing,
    TermsOutdated,
)
from services.directory.domain_states import Joined, Left, Municipality, Organisation, Period, State, adopted
from services.directory.domain_views import AdoptedModel, organisation_view
from services.directory.store import sorts_as
from services.kernel.decider.decision import Actor, ReadRequest
from services.kernel.errors import InvalidTransition, NotFound
from tests.examples_directory import (
    A_YEAR_ON,
    DEPARTMENT,
    MODEL,
    MODELS,
    MUNICIPALITY,
    NOW,
    OFFER,
    ORGANISATION,
    OTHER_ORGANISATION,
    TENANT,
    TODAY,
    a_municipality,
    an_actor,
    an_offer,
    an_organisation,
    given,
    joining,
    leaving,
    publishing,
    registering,
)

IN_JUNE = datetime(2026, 6, 1, 8, 0, tzinfo=UTC)


@pytest.mark.req("K1")
def test_a_municipality_adopts_an_installed_model_by_its_fingerprint() -> None:
    """What was agreed is on record, so that nobody can change the words behind it unseen."""
    decision = decide(None, AdoptModel("kerteminde", 1), given(MUNICIPALITY))

    assert decision.events == (ModelAdopted(model="kerteminde", version=1, sha256=MODEL.sha256),)
    now = adopted(decision.state)
    assert now is not None
    assert (now.model, now.version, now.since) == ("kerteminde", 1, TODAY)


def test_a_model_that_is_not_installed_is_refused_with_those_that_are() -> None:
    """The administrator reads which models there are to choose from."""
    with pytest.raises(ModelUnknown) as refused:
        decide(None, AdoptModel("elsewhere", 2), given(MUNICIPALITY))

    assert refused.value.detail == ", ".join(sorted(MODELS))


def test_a_new_version_is_adopted_beside_the_record_of_the_old() -> None:
    """Since when which version was followed stays known."""
    second = MODEL.model_copy(update={"version": 2})
    models = {**MODELS, second.ref: second}

    decision = decide(
        a_municipality(), AdoptModel("kerteminde", 2), given(MUNICIPALITY, IN_JUNE, models=models)
    )

    assert [(one.version, one.since) for one in decision.state.adoptions] == [
        (1, TODAY),
        (2, date(2026, 6, 1)),
    ]


@pytest.mark.req("K1")
def test_any_relevant_department_can_join() -> None:
    """A department is named with the kind that the model knows, and since when it takes part."""
    decision = decide(a_municipality(), registering(), given(MUNICIPALITY))

    assert decision.events == (DepartmentRegistered(department_id=DEPARTMENT, kind="child_welfare"),)
    assert decision.state.departments[DEPARTMENT].since == TODAY
    with pytest.raises(CodeUnknown) as refused:
        decide(a_municipality(), registering("fire_brigade"), given(MUNICIPALITY))
    assert "child_welfare" in refused.value.detail
    with pytest.raises(ModelMissing):
        decide(None, registering(), given(MUNICIPALITY))


@pytest.mark.req("K1")
def test_an_association_joins_by_accepting_the_terms_and_declaring() -> None:
    """Who takes part, since when, is on record, and others hear until when the declaration runs."""
    decision = decide(None, joining(), given(ORGANISATION))

    assert decision.state == an_organisation()
    assert decision.events == (
        OrganisationJoined(
            organisation_id=ORGANISATION, terms="kerteminde_1", joined_on=TODAY, declaration_until=A_YEAR_ON
        ),
    )


@pytest.mark.req("K1")
def test_joining_needs_a_model_its_terms_and_a_running_declaration() -> None:
    """Nobody joins what was not agreed, or without answering for the safety of children."""
    for command, others, refusal in (
        (joining(), {}, ModelMissing),
        (joining(), {MUNICIPALITY: Municipality()}, ModelMissing),
        (joining(terms="kerteminde_9"), None, TermsOutdated),
        (joining(declaration_until=date(2026, 3, 1)), None, DeclarationMissing),
    ):
        with pytest.raises(refusal):
            decide(None, command, given(ORGANISATION, others=others))

    assert decide(None, joining(declaration_until=TODAY), given(ORGANISATION)).events


@pytest.mark.req("K1")
def test_a_renewed_declaration_keeps_the_first_day() -> None:
    """An association that renews what it declared has taken part all the time."""
    renewed = joining(declaration_until=date(2028, 3, 1))

    decision = decide(an_organisation(), renewed, given(ORGANISATION, IN_JUNE))

    assert decision.state.membership == Joined("kerteminde_1", TODAY, date(2028, 3, 1))
    assert decide(an_organisation(), joining(), given(ORGANISATION, IN_JUNE)).events == ()


@pytest.mark.req("K1")
def test_an_association_can_leave_and_come_back_and_every_period_is_on_record() -> None:
    """Any association can join or leave; who took part when does not get lost."""
    gone = decide(an_organisation(), leaving(), given(ORGANISATION, IN_JUNE))
    back = decide(gone.state, joining(), given(ORGANISATION, datetime(2026, 9, 1, 8, 0, tzinfo=UTC)))

    first = date(2026, 6, 1)
    assert gone.events == (
        OrganisationLeft(organisation_id=ORGANISATION, reason="no_volunteers", left_on=first),
    )
    assert gone.state.membership == Left(first)
    assert back.state.before == (Period(TODAY, first, "no_volunteers"),)
    view = organisation_view(ORGANISATION, 3, back.state)
    assert [(period.joined_on, period.left_on) for period in view.periods] == [
        (TODAY, first),
        (date(2026, 9, 1), None),
    ]


@pytest.mark.req("N4")
def test_an_offer_says_for_whom_and_in_the_words_of_the_model() -> None:
    """Whether a need lies in what an offer covers can be decided, for both use the same words."""
    decision = decide(None, publishing(), given(OFFER))

    assert decision.state == an_offer()
    assert decision.events == (
        OfferPublished(
            offer_id=OFFER,
            organisation_id=ORGANISATION,
            theme="mentor",
            format="one_to_one",
            age_from=6,
            age_to=15,
            areas=(TENANT,),
            price="free",
            places=4,
        ),
    )
    for wrong in (publishing(theme="cooking"), publishing(format="online"), publishing(price="dear")):
        with pytest.raises(CodeUnknown):
            decide(None, wrong, given(OFFER))


@pytest.mark.req("K6")
@pytest.mark.parametrize(("age_from", "age_to"), [(18, 25), (12, 6)])
def test_an_offer_that_no_child_of_the_target_group_can_take_is_refused(age_from: int, age_to: int) -> None:
    """The model is for children before their eighteenth birthday."""
    with pytest.raises(AgesOutside) as refused:
        decide(None, publishing(age_from=age_from, age_to=age_to), given(OFFER))

    assert refused.value.detail == "0 to 17"


@pytest.mark.req("K1")
def test_only_those_who_take_part_can_offer() -> None:
    """An association that left, never came or lets its declaration run out publishes nothing."""
    left = decide(an_organisation(), leaving(), given(ORGANISATION)).state
    for organisation, refusal in (
        ({}, OrganisationMissing),
        ({ORGANISATION: left}, OrganisationMissing),
        ({ORGANISATION: an_organisation(date(2026, 3, 1))}, DeclarationMissing),
    ):
        with pytest.raises(refusal):
            decide(None, publishing(), given(OFFER, others={MUNICIPALITY: a_municipality(), **organisation}))
    with pytest.raises(ModelMissing):
        decide(None, publishing(), given(OFFER, others={ORGANISATION: an_organisation()}))


def test_capacity_is_corrected_with_the_day_on_which_it_was_said() -> None:
    """The same number said again on a later day confirms it; on the same day it changes nothing."""
    fewer = decide(an_offer(), ChangeCapacity(1), given(OFFER))
    confirmed = decide(an_offer(), ChangeCapacity(4), given(OFFER, IN_JUNE))

    assert fewer.events == (CapacityChanged(offer_id=OFFER, places=1, as_of=TODAY),)
    assert confirmed.events == (CapacityChanged(offer_id=OFFER, places=4, as_of=date(2026, 6, 1)),)


def a_left_organisation() -> Organisation:
    """Return an association that takes part no longer."""
    return Organisation("Børns Voksenvenner", "12345678", Left(TODAY), (Period(TODAY, TODAY, "x"),))


@pytest.mark.parametrize(
    ("make", "command", "answer"),
    [
        (a_municipality, AdoptModel("kerteminde", 1), "same"),
        (a_municipality, registering(), "event"),
        (a_municipality, joining(), InvalidTransition),
        (a_municipality, leaving(), InvalidTransition),
        (a_municipality, publishing(), InvalidTransition),
        (a_municipality, ChangeCapacity(3), InvalidTransition),
        (an_organisation, AdoptModel("kerteminde", 1), InvalidTransition),
        (an_organisation, registering(), InvalidTransition),
        (an_organisation, joining(), "same"),
        (an_organisation, leaving(), "event"),
        (an_organisation, publishing(), InvalidTransition),
        (an_organisation, ChangeCapacity(3), InvalidTransition),
        (a_left_organisation, joining(), "event"),
        (a_left_organisation, leaving(), "same"),
        (an_offer, AdoptModel("kerteminde", 1), InvalidTransition),
        (an_offer, registering(), InvalidTransition),
        (an_offer, joining(), InvalidTransition),
        (an_offer, leaving(), InvalidTransition),
        (an_offer, publishing(), "same"),
        (an_offer, ChangeCapacity(4), "same"),
        (an_offer, ChangeCapacity(3), "event"),
        (lambda: None, AdoptModel("kerteminde", 1), "event"),
        (lambda: None, joining(), "event"),
        (lambda: None, leaving(), NotFound),
        (lambda: None, publishing(), "event"),
        (lambda: None, ChangeCapacity(3), NotFound),
    ],
)
def test_every_command_in_every_state(
    make: Callable[[], State | None], command: object, answer: str | type[Exception]
) -> None:
    """A step is taken once, changes nothing when repeated, and is refused where it does not belong."""
    state = make()

    if not isinstance(answer, str):
        with pytest.raises(answer):
            decide(state, command, given(ORGANISATION))
        return
    decision = decide(state, command, given(ORGANISATION))

    assert (decision.state is state) == (answer == "same")
    assert len(decision.events) == (answer == "event")


OWN = an_actor("coordinator", ORGANISATION)
OTHERS = an_actor("coordinator", OTHER_ORGANISATION)
ADMINISTRATOR = an_actor("administrator")
CASEWORKER = an_actor("caseworker")


@pytest.mark.parametrize(
    ("actor", "state", "command", "allowed"),
    [
        (ADMINISTRATOR, None, AdoptModel("kerteminde", 1), True),
        (ADMINISTRATOR, a_municipality(), registering(), True),
        (ADMINISTRATOR, None, joining(), True),
        (ADMINISTRATOR, an_organisation(), leaving(), True),
        (ADMINISTRATOR, None, publishing(), False),
        (ADMINISTRATOR, an_offer(), ChangeCapacity(1), False),
        (OWN, an_organisation(), leaving(), True),
        (OWN, None, publishing(), True),
        (OWN, an_offer(), ChangeCapacity(1), True),
        (OWN, None, joining(), False),
        (OWN, None, AdoptModel("kerteminde", 1), False),
        (OTHERS, an_organisation(), leaving(), False),
        (OTHERS, None, publishing(), False),
        (OTHERS, an_offer(), ChangeCapacity(1), False),
        (an_actor("coordinator"), an_offer(), ChangeCapacity(1), False),
        (OWN, None, ChangeCapacity(1), False),
        (CASEWORKER, None, AdoptModel("kerteminde", 1), False),
        (CASEWORKER, None, registering(), False),
        (CASEWORKER, an_organisation(), leaving(), False),
        (CASEWORKER, an_offer(), ReadRequest(("status",)), True),
        (an_actor("guardian"), a_municipality(), ReadRequest(("model",)), True),
        (an_actor("caseworker", tenant="0461"), an_offer(), ReadRequest(("status",)), False),
        (ADMINISTRATOR, None, object(), False),
    ],
)
def test_who_may_do_what(actor: Actor, state: State | None, command: object, *, allowed: bool) -> None:
    """Administrators admit, an association's own coordinator offers, everybody in the municipality reads."""
    assert allows(state, command, given(ORGANISATION, actor=actor)) is allowed


def test_a_step_reads_the_streams_that_it_depends_on() -> None:
    """Joining reads what the municipality follows; publishing also whether the association takes part."""
    assert also(None, joining()) == (MUNICIPALITY,)
    assert also(None, publishing()) == (MUNICIPALITY, ORGANISATION)
    assert also(an_offer(), ChangeCapacity(1)) == ()


def test_a_state_is_read_as_it_was_written() -> None:
    """Each kind of stream survives being stored."""
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(State)
    for state in (a_municipality(), an_organisation(), a_left_organisation(), an_offer()):
        assert decoder.decode(msgspec.json.encode(state)) == state


def test_the_adopted_model_can_be_read_in_every_language() -> None:
    """A page needs no other source for the words of the model."""
    view = AdoptedModel(version=1, ref=MODEL.ref, sha256=MODEL.sha256, since=NOW.date(), model=MODEL)

    said = view.model_dump(mode="json")["model"]
    assert all(set(purpose["text"]) == set(LANGUAGES) for purpose in said["purposes"])
    assert said["consent"]["rules"][0]["quorum"] == "all_holders"


def test_names_sort_as_in_the_danish_and_norwegian_alphabet() -> None:
    """Æ, ø and å come last, aa sorts as å, and other accents do not count."""
    names = ["Åben Dør", "Ærø Ungdom", "Zebra", "Aarhus Venner", "Élan", "Ø-Klubben", "Egmont", "DUI"]

    assert sorted(names, key=sorts_as) == [
        "DUI",
        "Egmont",
        "Élan",
        "Zebra",
        "Ærø Ungdom",
        "Ø-Klubben",
        "Åben Dør",
        "Aarhus Venner",
    ]
