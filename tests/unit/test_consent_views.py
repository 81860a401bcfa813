"""Views of consent: a person's own list, the caseworker's case, and the receipt to keep."""

from collections.abc import Mapping
from typing import Any

import pytest

from contracts.model import CollaborationModel
from services.consent.domain.states import Case, evidence_key, name_key
from services.consent.views.cases import case_view, mine
from services.consent.views.receipt import receipt_of
from services.kernel.decider.working_days import months_after
from tests import examples_consent as ex
from tests.examples_consent import ANSWERED_AT, BORN, CASE, FATHER, MODEL, MODELS, MOTHER, TENANT, consent_id
from tests.subject_consent import CASES

IN_A_YEAR = months_after(ANSWERED_AT, 12)


def test_a_person_sees_what_they_are_asked_and_nothing_about_others() -> None:
    """The mother reads her own question, in her words or in others, and how to stop."""
    case = CASES["requested"]

    (own,) = mine(case, CASE, 4, person_id=MOTHER, models=MODELS, language=None)
    (english,) = mine(case, CASE, 4, person_id=MOTHER, models=MODELS, language="en")

    assert (own.consent_id, own.status, own.version) == (consent_id(MOTHER), "requested", 4)
    assert (own.purpose.code, [fact.code for fact in own.facts]) == ("networks", ["first_name", "need"])
    assert own.purpose.text == "Netværk og relationer for børn, unge og familier"
    assert (own.answer_by, own.months, own.language) == (ex.LAPSE_ON, 12, "da")
    assert own.withdraw == f"/consent/cases/{CASE}/consents/{consent_id(MOTHER)}/withdraw"
    assert (english.language, english.text_sha256) == ("en", ex.sha256_of(language="en"))
    assert english.text is not None
    assert english.text.startswith("You permit")


def test_a_person_sees_that_a_yes_was_minuted_for_them() -> None:
    """They can say yes or no themselves before a colleague confirms it; the receipt has the evidence."""
    case = CASES["minuted"]

    (own,) = mine(case, CASE, 4, person_id=MOTHER, models=MODELS, language=None)
    receipt = receipt_of(
        case,
        CASE,
        consent_id(MOTHER),
        tenant=TENANT,
        version=4,
        models=MODELS,
        private={evidence_key(consent_id(MOTHER)): ex.FOUND_AT},
    )

    assert (own.status, own.answer_by, own.expires_at) == ("minuted", ex.LAPSE_ON, None)
    assert (receipt.evidence_reference, receipt.not_before) == (ex.FOUND_AT, None)


def test_what_was_given_is_shown_in_the_words_that_it_was_given_to() -> None:
    """After the yes there is no other language, and after the end there is nothing to show."""
    (own,) = mine(CASES["granted"], CASE, 6, person_id=FATHER, models=MODELS, language="en")

    assert (own.language, own.answer_by, own.expires_at) == ("nb", None, IN_A_YEAR)
    assert list(mine(CASES["withdrawn"], CASE, 7, person_id=FATHER, models=MODELS, language=None)) == []


def test_a_caseworker_sees_who_was_asked_and_where_a_name_was_erased() -> None:
    """The case shows custody with names, every record, and a gap where a key was destroyed."""
    private = {name_key(MOTHER): ex.MOTHERS_NAME, f"born:{CASE}": BORN.isoformat()}

    view = case_view(CASES["granted"], CASE, 6, private)

    assert view.custody is not None
    assert [(one.name, one.must) for one in view.custody.holders] == [
        (ex.MOTHERS_NAME, True),
        (None, True),
    ]
    assert view.custody.born == BORN
    assert [(one.status, one.given_at, one.expires_at) for one in view.consents] == [
        ("given", ANSWERED_AT, IN_A_YEAR)
    ] * 2
    assert view.permissions[0].until == IN_A_YEAR


def the_receipt(case: Case, models: Mapping[str, CollaborationModel] = MODELS) -> dict[str, Any]:
    """Return the mother's receipt as JSON would hold it."""
    receipt = receipt_of(case, CASE, consent_id(MOTHER), tenant=TENANT, version=7, models=models)
    return receipt.model_dump(mode="json")


@pytest.mark.req("K3")
def test_the_receipt_says_what_was_permitted_in_the_standards_words() -> None:
    """A family can keep and pass on what they agreed to, in the fields of ISO/IEC TS 27560."""
    receipt = the_receipt(CASES["granted"])

    (purpose,) = receipt["pii_processing"]["purposes"]
    assert (receipt["schema_version"], receipt["record_id"]) == (
        "ISO/IEC TS 27560:2023",
        str(consent_id(MOTHER)),
    )
    assert [info["pii_type"] for info in purpose["pii_information"]] == ["first_name", "need"]
    assert (purpose["pii_controllers"], purpose["recipient_third_parties"]) == (
        [TENANT],
        [str(ex.ORGANISATION)],
    )
    assert (purpose["lawful_basis"], purpose["jurisdiction"]) == ("gdpr_6_1_e", "dk")
    assert purpose["withdrawal_method"].endswith("/withdraw")
    assert [event["event_state"] for event in receipt["events"]] == ["requested", "given"]
    assert (receipt["events"][1]["assurance"], receipt["events"][1]["evidence"]) == ("high", "own_sign_in")
    assert (receipt["state"], receipt["rule"], receipt["quorum"]) == ("given", "dk_2024", "all_holders")
    assert receipt["text"].startswith("Du giver kommunen lov")


@pytest.mark.parametrize(
    ("status", "history"),
    [
        ("requested", ["requested"]),
        ("minuted", ["requested", "minuted"]),
        ("given", ["requested", "given"]),
        ("confirmed", ["requested", "minuted", "given"]),
        ("refused", ["requested", "refused"]),
        ("withdrawn", ["requested", "given", "withdrawn"]),
        ("expired", ["requested", "expired"]),
        ("invalidated", ["requested", "invalidated"]),
    ],
)
def test_the_receipt_keeps_what_happened(status: str, history: list[str]) -> None:
    """That a consent was given and withdrawn is never forgotten; only a yes that counts has an end."""
    receipt = the_receipt(CASES[status])

    assert [event["event_state"] for event in receipt["events"]] == history
    assert receipt["state"] == ("given" if status == "confirmed" else status)
    assert (receipt["expires"] is None) == (status not in {"given", "confirmed"})


def test_a_text_that_was_changed_behind_a_consent_is_not_passed_off_as_the_one_read() -> None:
    """If the model's words no longer have the fingerprint that was given to, the receipt shows none."""
    text = MODEL.consent.texts[0]
    edited = text.model_copy(update={"text": text.text.model_copy(update={"da": "Noget andet"})})
    consent = MODEL.consent.model_copy(update={"texts": (edited, *MODEL.consent.texts[1:])})

    receipt = the_receipt(CASES["granted"], {MODEL.ref: MODEL.model_copy(update={"consent": consent})})

    assert (receipt["text"], receipt["text_sha256"]) == (None, ex.sha256_of())
