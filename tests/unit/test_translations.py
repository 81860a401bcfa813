"""Translations: every problem in Danish, bokmål and English, in the language of the request."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from babel.messages.catalog import Catalog

from contracts.model import load_models, model_folder
from contracts.model_parts import Language
from services.kernel.errors import NotAllowed, ProblemError
from services.kernel.http.content_language import DefaultLanguages, preferred_language
from services.kernel.http.problems import OTHER_TITLE, TITLES
from services.kernel.http.translations import FOLDER, TRANSLATED, context_of, translate
from services.publish.translations import faults, main, read, renewed, sentences
from tests.documents import kinds_of

MODEL = next(iter(load_models(model_folder()).values()))


def test_every_problem_type_has_a_sentence() -> None:
    """A class that a service adds is among the sentences, as are HTTP's own."""
    wanted, kinds = sentences(), list[type[ProblemError]]((ProblemError, *kinds_of(ProblemError)))

    assert {context_of(kind): kind.title() for kind in kinds}.items() <= wanted.items()
    assert {*TITLES.values(), OTHER_TITLE} <= set(wanted.values())
    assert {name.partition("/")[0] for name in wanted} >= {"kernel", "referral", "consent", "agreement"}


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_catalogue_is_complete_and_holds_nothing_else(language: Language) -> None:
    """Nothing is missing, empty, in doubt or obsolete, and every sentence ends in a full stop."""
    catalogue = read(FOLDER / f"{language}.po", language)
    said = {message.context: str(message.string) for message in catalogue if message.id}

    assert faults(catalogue, sentences()) == []
    assert [name for name, words in said.items() if not words.endswith(".") or words.strip() != words] == []
    assert [name for name, words in said.items() if words == sentences()[str(name)]] == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_names_of_headers_and_settings_are_not_translated(language: Language) -> None:
    """Headers, settings and options keep their names in every language."""
    names = (
        "Idempotency-Key",
        "If-Match",
        "Authorization",
        "`errors`",
        "SAMSPIL_VAULT_URL",
        "--clock virtual",
    )
    spoken = {
        name: translate(language, context, sentence)[0]
        for context, sentence in sentences().items()
        for name in names
        if name in sentence
    }

    assert set(spoken) == set(names)
    assert [name for name, words in spoken.items() if name not in words] == []


def test_the_catalogues_are_current(capsys: pytest.CaptureFixture[str]) -> None:
    """`make check` prints nothing."""
    assert main(["--check"]) == 0
    assert capsys.readouterr().err == ""


def test_a_faulty_catalogue_fails_the_check_until_it_is_corrected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without their files both languages lack everything; renewed, everything is there and empty."""
    lacking, missing = main(["--check"], tmp_path), capsys.readouterr().err
    written, empty = main([], tmp_path), capsys.readouterr().err

    assert (lacking, written) == (1, 1)
    assert "da.po: referral/consent-missing: is not there\n" in missing
    assert "nb.po: referral/consent-missing: is empty\n" in empty
    assert list(tmp_path.iterdir()) != []
    assert len(empty.splitlines()) == len(missing.splitlines()) == 2 * len(sentences())


def a_catalogue(**said: tuple[str, str]) -> Catalog:
    """Return a catalogue of sentences and their translations by context."""
    catalogue = Catalog(locale="da")
    for context, (sentence, translation) in said.items():
        catalogue.add(sentence, translation, context=context)
    return catalogue


def test_a_changed_sentence_is_in_doubt_and_its_translation_is_kept() -> None:
    """An edited docstring marks its translations as in doubt; no translation is lost."""
    old = a_catalogue(kept=("Yes.", "Ja."), changed=("No.", "Nej."), gone=("Never.", "Aldrig."))
    wanted = {"kept": "Yes.", "changed": "No, never.", "new": "Perhaps."}

    catalogue = renewed(old, wanted)

    assert {message.context: message.string for message in catalogue if message.id} == {
        "kept": "Ja.",
        "changed": "Nej.",
        "new": "",
    }
    assert faults(old, wanted) == [
        "new: is not there",
        "changed: is not what the code says",
        "gone: is not what the code says",
    ]
    assert faults(catalogue, wanted) == [
        "changed: is in doubt; read it again and take the mark away",
        "new: is empty",
    ]
    assert faults(renewed(catalogue, wanted), wanted) == faults(catalogue, wanted)


def test_a_sentence_without_a_translation_is_in_english() -> None:
    """The response then names English as its language."""
    assert translate("da", "referral/unheard-of", "This is new.") == ("This is new.", "en")
    assert translate("en", context_of(NotAllowed), NotAllowed.title()) == (NotAllowed.title(), "en")
    assert translate("da", context_of(NotAllowed), NotAllowed.title()) == (
        "Du har ikke adgang til dette.",
        "da",
    )


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "da"),
        ("nb-NO,nb;q=0.9,en;q=0.8", "nb"),
        ("nn, en;q=0.5", "nb"),
        ("no", "nb"),
        ("EN-gb", "en"),
        ("en-GB-oxendict", "en"),
        ("sv, en;q=0.4, da;q=0.6", "da"),
        ("en;q=0.5, nb;q=0.500", "en"),
        ("de", "da"),
        ("*", "da"),
        ("*;q=0.5, en", "en"),
        ("da;q=0, *", "nb"),
        ("da;q=0.1, *;q=0.2", "nb"),
        ("en;q=0", "da"),
        ("en;q=much, nb;q=0.1", "nb"),
        ("en;q=nan, nb;q=2, da;q=0.001", "da"),
        ("en ; q=0.7 , nb ;q=0.8", "nb"),
        ("english, danish", "da"),
        (";;,,q=1", "da"),
    ],
)
def test_the_preferred_supported_language_is_chosen(header: str, language: Language) -> None:
    """Accept-Language is followed where it is supported; else the default language is chosen."""
    assert preferred_language(header, "da") == language


def houses() -> Iterator[tuple[str, tuple[tuple[str, str], ...], str | None, str]]:
    """Return models by municipality and first language, the person, and the language of the response."""
    danish, norwegian = ("0440", "da"), ("1103", "nb")
    yield "of the municipality", (danish, norwegian), "1103", "nb"
    yield "of the only one, to a person without a model", (danish,), None, "da"
    yield "English, where several are spoken", (danish, norwegian), None, "en"
    yield "of all, to a municipality without a model", (danish,), "1103", "da"
    yield "English, without models", (), "0440", "en"


@pytest.mark.parametrize(
    ("models", "tenant", "language"), [pytest.param(*rest, id=name) for name, *rest in houses()]
)
def test_without_a_preference_the_default_language_is_chosen(
    models: tuple[tuple[str, Language], ...], tenant: str | None, language: str
) -> None:
    """The first language of a municipality's model is its usual one."""
    house = DefaultLanguages(
        MODEL.model_copy(update={"municipality": municipality, "languages": (first,)})
        for municipality, first in models
    )

    assert house.language(tenant) == language


def test_the_newest_model_sets_the_default_language() -> None:
    """A municipality changes its default language by a new version."""
    versions = [
        MODEL.model_copy(update={"version": number, "languages": (cast("Any", first),)})
        for number, first in ((2, "nb"), (1, "da"))
    ]

    assert DefaultLanguages(versions).language(MODEL.municipality) == "nb"
