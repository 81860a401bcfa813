"""Texts of the pages: English in the code, Danish and bokmål from the catalogues of the portal."""

import gettext
from io import BytesIO
from pathlib import Path
from typing import Final

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from contracts.model_parts import LANGUAGES, Language

FOLDER: Final = Path(__file__).parents[1] / "translations" / "portal"
SOURCE: Final[Language] = "en"


def _(sentence: str) -> str:
    """Mark a sentence for translation; it is translated where it is shown."""
    return sentence


def _n(singular: str, plural: str) -> tuple[str, str]:
    """Mark a sentence with a number for translation; it is translated where it is shown."""
    return singular, plural


def translations_of(language: Language) -> gettext.NullTranslations:
    """Return the portal's texts in a language; English has none, since the code is in English."""
    if language == SOURCE:
        return gettext.NullTranslations()
    compiled = BytesIO()
    with (FOLDER / f"{language}.po").open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


TRANSLATIONS: Final = {language: translations_of(language) for language in LANGUAGES}
