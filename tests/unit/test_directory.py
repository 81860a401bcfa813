"""The directory: which model is followed, who takes part since when, what is offered to whom."""

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
from services.directory.domain.commands import AdoptModel, ChangeCapacity
from services.directory.domain.lifecycle import decide
from services.directory.domain.refusals import (
    AgesOutside,
    CodeUnknown,
    DeclarationMissing,
    ModelMissing,
    ModelUnknown,
    OrganisationMissing,
    TermsOutdated,
)
from services.directory.domain.states import Joined, Left, Municipality, Period, State
from services.directory.projections.catalogue import sorts_as
from services.directory.views.catalogue import AdoptedModel, organisation_view
from tests.examples_directory import (
    A_YEAR_ON,
    DEPARTMENT,
    MODEL,
    MODELS,
    MUNICIPALITY,
    NOW,
    OFFER,
    ORGANISATION,
    TENANT,
    TODAY,
    a_municipality,
    an_offer,
    an_organisation,
    context,
    joining,
    leaving,
    publishing,
    registering,
    states,
)

IN_JUNE = datetime(2026, 6, 1, 8, 0, tzinfo=UTC)


@pytest.mark.req("K1")
def test_a_municipality_adopts_an_installed_model_by_its_fingerprint() -> None:
    """What was agreed is on record, so that its text cannot be changed unseen."""
    decision = decide(None, AdoptModel("kerteminde", 1), context(MUNICIPALITY))

    assert decision.events == (ModelAdopted(model="kerteminde", version=1, sha256=MODEL.sha256),)
    now = decision.state.adoption
    assert now is not None
    assert (now.model, now.version, now.since) == ("kerteminde", 1, TODAY)


def test_a_model_that_is_not_installed_is_refused_with_those_that_are() -> None:
    """The administrator reads which models there are to choose from."""
    with pytest.raises(ModelUnknown) as refused:
        decide(None, AdoptModel("elsewhere", 2), context(MUNICIPALITY))

    assert refused.value.detail == ", ".join(sorted(MODELS))


def test_a_new_version_is_adopted_beside_the_record_of_the_old() -> None:
    """Since when which version was followed stays on record."""
    second = MODEL.model_copy(update={"version": 2})
    models = {**MODELS, second.ref: second}

    decision = decide(
        a_municipality(), AdoptModel("kerteminde", 2), context(MUNICIPALITY, IN_JUNE, models=models)
    )

    assert [(one.version, one.since) for one in decision.state.adoptions] == [
        (1, TODAY),
        (2, date(2026, 6, 1)),
    ]


@pytest.mark.req("K1")
def test_any_relevant_department_can_join() -> None:
    """A department is named with a kind of the model, and since when it takes part."""
    decision = decide(a_municipality(), registering(), context(MUNICIPALITY))

    assert decision.events == (DepartmentRegistered(department_id=DEPARTMENT, kind="child_welfare"),)
    assert decision.state.departments[DEPARTMENT].since == TODAY
    with pytest.raises(CodeUnknown) as refused:
        decide(a_municipality(), registering("fire_brigade"), context(MUNICIPALITY))
    assert "child_welfare" in refused.value.detail
    with pytest.raises(ModelMissing):
        decide(None, registering(), context(MUNICIPALITY))


@pytest.mark.req("K1")
def test_an_association_joins_by_accepting_the_terms_and_declaring() -> None:
    """Who takes part, since when, is on record, and the event says until when the declaration runs."""
    decision = decide(None, joining(), context(ORGANISATION))

    assert decision.state == an_organisation()
    assert decision.events == (
        OrganisationJoined(
            organisation_id=ORGANISATION, terms="kerteminde_1", joined_on=TODAY, declaration_until=A_YEAR_ON
        ),
    )


@pytest.mark.req("K1")
def test_joining_needs_a_model_its_terms_and_a_running_declaration() -> None:
    """No association joins without the agreed terms and without answering for the safety of children."""
    for command, others, refusal in (
        (joining(), {}, ModelMissing),
        (joining(), {MUNICIPALITY: Municipality()}, ModelMissing),
        (joining(terms="kerteminde_9"), None, TermsOutdated),
        (joining(declaration_until=date(2026, 3, 1)), None, DeclarationMissing),
    ):
        with pytest.raises(refusal):
            decide(None, command, context(ORGANISATION, others=others))

    assert decide(None, joining(declaration_until=TODAY), context(ORGANISATION)).events


@pytest.mark.req("K1")
def test_a_renewed_declaration_keeps_the_first_day() -> None:
    """An association that renews what it declared has taken part all the time."""
    renewed = joining(declaration_until=date(2028, 3, 1))

    decision = decide(an_organisation(), renewed, context(ORGANISATION, IN_JUNE))

    assert decision.state.membership == Joined("kerteminde_1", TODAY, date(2028, 3, 1))
    assert decide(an_organisation(), joining(), context(ORGANISATION, IN_JUNE)).events == ()


@pytest.mark.req("K1")
def test_an_association_can_leave_and_come_back_and_every_period_is_on_record() -> None:
    """Any association can join or leave; who took part when does not get lost."""
    gone = decide(an_organisation(), leaving(), context(ORGANISATION, IN_JUNE))
    back = decide(gone.state, joining(), context(ORGANISATION, datetime(2026, 9, 1, 8, 0, tzinfo=UTC)))

    first = date(2026, 6, 1)
    assert gone.events == (
        OrganisationLeft(organisation_id=ORGANISATION, reason="too_few_volunteers", left_on=first),
    )
    assert gone.state.membership == Left(first)
    assert back.state.before == (Period(TODAY, first, "too_few_volunteers"),)
    view = organisation_view(ORGANISATION, 3, back.state)
    assert [(period.joined_on, period.left_on) for period in view.periods] == [
        (TODAY, first),
        (date(2026, 9, 1), None),
    ]


@pytest.mark.req("N4")
def test_an_offer_says_for_whom_and_in_the_words_of_the_model() -> None:
    """Whether a need lies in what an offer covers can be decided, for both use the same words."""
    decision = decide(None, publishing(), context(OFFER))

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
            decide(None, wrong, context(OFFER))


@pytest.mark.req("K6")
@pytest.mark.parametrize(("age_from", "age_to"), [(18, 25), (12, 6)])
def test_an_offer_that_no_child_of_the_target_group_can_take_is_refused(age_from: int, age_to: int) -> None:
    """The model is for children before their eighteenth birthday."""
    with pytest.raises(AgesOutside) as refused:
        decide(None, publishing(age_from=age_from, age_to=age_to), context(OFFER))

    assert refused.value.detail == "0 to 17"


@pytest.mark.req("K1")
def test_only_those_who_take_part_can_offer() -> None:
    """An association that left, never came or lets its declaration run out publishes nothing."""
    left = decide(an_organisation(), leaving(), context(ORGANISATION)).state
    for organisation, refusal in (
        ({}, OrganisationMissing),
        ({ORGANISATION: left}, OrganisationMissing),
        ({ORGANISATION: an_organisation(date(2026, 3, 1))}, DeclarationMissing),
    ):
        with pytest.raises(refusal):
            decide(
                None, publishing(), context(OFFER, others={MUNICIPALITY: a_municipality(), **organisation})
            )
    with pytest.raises(ModelMissing):
        decide(None, publishing(), context(OFFER, others={ORGANISATION: an_organisation()}))


def test_capacity_is_corrected_as_of_the_day_of_the_command() -> None:
    """The same number on a later day confirms it; on the same day it changes nothing."""
    fewer = decide(an_offer(), ChangeCapacity(MUNICIPALITY, 1), context(OFFER))
    confirmed = decide(an_offer(), ChangeCapacity(MUNICIPALITY, 4), context(OFFER, IN_JUNE))

    assert fewer.events == (CapacityChanged(offer_id=OFFER, places=1, as_of=TODAY),)
    assert confirmed.events == (CapacityChanged(offer_id=OFFER, places=4, as_of=date(2026, 6, 1)),)


def test_the_day_of_a_step_is_that_of_the_models_time_zone() -> None:
    """Where the clocks of the model's own country have passed midnight, the step is of the new day."""
    late = datetime(2026, 6, 1, 22, 30, tzinfo=UTC)
    there = MODEL.model_copy(
        update={"calendar": MODEL.calendar.model_copy(update={"timezone": "Atlantic/Azores"})}
    )
    left = [
        decide(an_organisation(), leaving(), context(ORGANISATION, late, models={**MODELS, **models})).state
        for models in ({}, {there.ref: there})
    ]

    assert [state.membership for state in left] == [Left(date(2026, 6, 2)), Left(date(2026, 6, 1))]


def test_a_state_is_read_as_it_was_written() -> None:
    """Each kind of stream survives being stored."""
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(State)
    for state in states():
        assert decoder.decode(msgspec.json.encode(state)) == state


def test_the_adopted_model_can_be_read_in_every_language() -> None:
    """A page needs no other source for the words of the model."""
    view = AdoptedModel(version=1, ref=MODEL.ref, sha256=MODEL.sha256, since=NOW.date(), model=MODEL)

    model = view.model_dump(mode="json")["model"]
    assert all(set(purpose["text"]) == set(LANGUAGES) for purpose in model["purposes"])
    assert model["consent"]["rules"][0]["quorum"] == "all_holders"


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
