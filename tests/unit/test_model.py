"""A collaboration model is data: what Kerteminde's says."""

import json
from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError

from contracts.model import CollaborationModel, load_model, load_models, model_folder
from contracts.model_parts import by_code
from tests.examples_model import KERTEMINDE, edited_model


@pytest.fixture(scope="module")
def model() -> CollaborationModel:
    """Kerteminde's model as it ships."""
    return load_model(KERTEMINDE)


@pytest.mark.req("K5")
def test_the_eight_purposes_are_stated_in_three_languages(model: CollaborationModel) -> None:
    """Goals can link to each purpose that the municipality and its associations agreed on."""
    codes = [purpose.code for purpose in model.purposes]

    assert codes == [
        "good_childhood",
        "networks",
        "ties",
        "acquaintance",
        "coherent_offers",
        "partnerships",
        "mutual_support",
        "voice",
    ]
    assert all(len({p.text.da, p.text.nb, p.text.en}) > 1 for p in model.purposes)


@pytest.mark.req("K6")
def test_the_target_group_ends_before_the_eighteenth_birthday(model: CollaborationModel) -> None:
    """A child of 17 belongs to the target group, a person of 18 does not."""
    group = model.target_group

    assert (group.age_from, group.age_to, group.residence_required) == (0, 17, True)
    assert {"weak_labour_tie", "fragile_network"} <= {factor.code for factor in group.factors}
    assert len(group.factors) == 6


@pytest.mark.req("N5")
def test_only_serious_concern_excludes_and_points_to_the_statutory_channel(model: CollaborationModel) -> None:
    """A serious concern stops a referral, and the person reads whom to contact."""
    excluding = [criterion for criterion in model.eligibility if criterion.kind == "excluding"]

    assert [(c.code, c.statutory_channel) for c in excluding] == [("serious_concern", True)]
    assert "112" in model.statutory_channel.said_in("da")


@pytest.mark.req("K3")
def test_consent_is_asked_of_all_holders_and_of_the_young_person_from_fifteen(
    model: CollaborationModel,
) -> None:
    """In Denmark both holders consent, from 15 the young person too, from 18 only the person."""
    rule = model.consent.rule_on(date(2026, 1, 1))

    assert rule is not None
    assert (rule.quorum, rule.young_person_from, rule.own_from) == ("all_holders", 15, 18)
    assert model.consent.months == 12
    assert all(rule.sources)


def test_no_consent_rule_is_in_force_before_the_first(model: CollaborationModel) -> None:
    """Where the law is not on record no person can consent."""
    assert model.consent.rule_on(date(2023, 12, 31)) is None
    assert model.consent.rule_on(date(2024, 1, 1)) is not None


def test_the_youngest_rule_that_has_begun_is_in_force(tmp_path: Path) -> None:
    """A change of the law is a dated line in the model, and holds from its day on."""
    head = '[[consent.rules]]\ncode = "dk_2024"\nvalid_from = 2024-01-01\n'
    text = KERTEMINDE.read_text(encoding="utf-8")
    start = text.index("[[consent.rules]]")
    later = (
        text[start : text.index("[[consent.texts]]")]
        .replace("dk_2024", "dk_2027")
        .replace("2024-01-01", "2027-07-01")
    )
    consent = load_model(edited_model(tmp_path, head, later + head)).consent

    codes = [
        rule.code if (rule := consent.rule_on(day)) else None for day in (date(2027, 6, 30), date(2027, 7, 1))
    ]

    assert codes == ["dk_2024", "dk_2027"]


def test_the_fingerprint_of_a_consent_text_is_of_the_words_in_one_language(model: CollaborationModel) -> None:
    """What a person was shown can be proved later; another language is another text."""
    text = model.consent.texts[0]

    prints = {text.sha256(language) for language in model.languages}

    assert len(prints) == 3
    assert all(len(one) == 64 and int(one, 16) for one in prints)
    assert "\n" not in text.text.da


def test_the_deadlines_are_the_agreed_ones(model: CollaborationModel) -> None:
    """The days of the life cycles stand in the model, not in the code."""
    days = model.deadlines

    assert (days.consent_remind, days.consent_lapse, days.send, days.seen, days.answer) == (5, 20, 3, 3, 7)
    assert (days.meeting, days.delete_confirm, days.delete_escalate) == (10, 5, 8)
    assert model.ladder.model_dump() == {
        "reminder_before": 2,
        "stand_in_after": 0,
        "leader_after": 5,
        "move_after": 10,
    }
    assert (
        model.rhythm.update_days,
        model.rhythm.evaluation_days,
        model.rhythm.measurement_after_months,
    ) == (30, 90, 6)
    assert model.calendar.closed_days == ("06-05", "12-24", "12-31")


@pytest.mark.req("S2")
def test_the_four_dimensions_have_a_scale_and_a_threshold(model: CollaborationModel) -> None:
    """Better and worse are decided by the model."""
    scales = {d.code: (d.lowest, d.highest, d.threshold) for d in model.dimensions}

    assert set(scales) == {"mental_wellbeing", "social_skills", "coping_skills", "self_perception"}
    assert set(scales.values()) == {(1, 5, 0.5)}


def test_each_reason_says_whose_side_it_is_on(model: CollaborationModel) -> None:
    """An exit can be counted by family, organisation and municipality."""
    for reasons in (model.decline_reasons, model.recall_reasons, model.end_reasons):
        assert {reason.side for reason in reasons} == {"family", "organisation", "municipality"}


@pytest.mark.req("K1")
def test_the_associations_that_agreed_the_model_are_on_record(model: CollaborationModel) -> None:
    """The five associations stand in the model by name."""
    names = [association.name for association in model.associations]

    assert names == ["Link", "DUI", "Børns Voksenvenner", "Mødrehjælpen", "Red Barnet"]


def test_a_part_is_found_by_its_code(model: CollaborationModel) -> None:
    """A code from an event becomes the words that a person reads; an unknown one becomes nothing."""
    found = by_code(model.purposes, "ties")

    assert found is not None
    assert found.text.said_in("nb").startswith("Sterkere")
    assert by_code(model.purposes, "ties_of_tomorrow") is None


def test_a_model_cannot_be_changed(model: CollaborationModel) -> None:
    """A model that was loaded stays as it was read."""
    field = "version"

    with pytest.raises(ValidationError, match="frozen"):
        setattr(model, field, 2)


def test_the_fingerprint_follows_what_is_said_and_not_how(model: CollaborationModel, tmp_path: Path) -> None:
    """A comment changes nothing, a day changes the fingerprint."""
    commented = load_model(edited_model(tmp_path, "[deadlines]\n", "# thought over\n[deadlines]\n\n"))
    moved = load_model(edited_model(tmp_path, "send = 3\nseen = 3\n", "seen = 3\nsend = 3\n"))
    changed = load_model(edited_model(tmp_path, "answer = 7\n", "answer = 8\n"))

    assert model.sha256 == commented.sha256 == moved.sha256
    assert model.sha256 != changed.sha256


def test_all_models_of_the_product_are_sound() -> None:
    """Each model that ships can be used, under its own name and version."""
    models = load_models(model_folder())

    assert "kerteminde/1" in models
    assert all(ref == model.ref for ref, model in models.items())


def test_a_model_survives_the_way_through_json(model: CollaborationModel) -> None:
    """A model can be handed on as JSON and is the same model, with the same fingerprint."""
    again = CollaborationModel.model_validate_json(json.dumps(model.model_dump(mode="json")))

    assert again == model
    assert again.sha256 == model.sha256
