"""Translations of the sentences that people read, from the catalogues in `services/translations/*.po`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from babel.messages.pofile import read_po

from contracts.model_parts import LANGUAGES, Language
from services.kernel.errors import ProblemError
from services.kernel.http.content_language import SOURCE

FOLDER: Final = Path(__file__).parents[2] / "translations"
TRANSLATED: Final = tuple(language for language in LANGUAGES if language != SOURCE)


def context_of(kind: type[ProblemError]) -> str:
    """Return under which name a refusal's sentence stands in the catalogues: `referral/consent-missing`."""
    return f"{kind.__module__.split('.')[1]}/{kind.code()}"


def read_translations(language: Language) -> Mapping[tuple[str, str], str]:
    """Return the sentences of a language by context and English sentence, those in doubt left out."""
    with (FOLDER / f"{language}.po").open("rb") as file:
        catalogue = read_po(file)
    return {
        (message.context or "", str(message.id)): str(message.string)
        for message in catalogue
        if message.id and message.string and not message.fuzzy
    }


TRANSLATIONS: Final = {language: read_translations(language) for language in TRANSLATED}
"""The sentences by language."""


def translate(language: Language, context: str, sentence: str) -> tuple[str, Language]:
    """Return a sentence and the language that it is in: English where its catalogue does not have it."""
    translated = TRANSLATIONS[language].get((context, sentence)) if language in TRANSLATIONS else None
    return (translated, language) if translated else (sentence, SOURCE)
