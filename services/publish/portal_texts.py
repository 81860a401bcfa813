"""Renew the catalogues of the portal's texts: `python -m services.publish.portal_texts [--check]`."""

import re
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Final, NamedTuple

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po

from contracts.model_parts import LANGUAGES
from services.portal import texts
from services.portal.texts import FOLDER, SOURCE

_PORTAL: Final = Path(texts.__file__).parent
_KEYWORDS: Final = {"_": None, "gettext": None, "ngettext": (1, 2), "_n": (1, 2)}
_OPTIONS: Final = {
    "extensions": "jinja2.ext.do",
    "trimmed": "true",
    "newstyle_gettext": "true",
    "silent": "false",
}
_PLACEHOLDER: Final = re.compile(r"%\((\w+)\)[sd]")
_WIDTH: Final = 110
_HEAD: Final = """\
# Texts of the portal's pages. Only `msgstr` is written by hand: `make publish` renews the rest.
msgid ""
msgstr ""
"Language: {language}\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"

"""


class Sentence(NamedTuple):
    """A text in English, with its plural where it has one."""

    id: str | tuple[str, str]

    @property
    def parts(self) -> tuple[str, ...]:
        """The forms of the sentence."""
        return (self.id,) if isinstance(self.id, str) else self.id


def sentences() -> list[Sentence]:
    """Return every marked sentence of the portal's code and templates, sorted."""
    return sorted(set(_marked()), key=lambda sentence: sentence.parts)


def _marked() -> Iterator[Sentence]:
    for path in sorted(_PORTAL.rglob("*")):
        method = {".py": "python", ".html": "jinja2.ext:babel_extract"}.get(path.suffix)
        if method is None:
            continue
        with path.open("rb") as file:
            for _line, found, _comments, _context in extract(method, file, _KEYWORDS, (), dict(_OPTIONS)):
                yield Sentence((found[0], found[1]) if isinstance(found, tuple) else found)


def renewed(old: Catalog, language: str) -> Catalog:
    """Return the catalogue of the sentences in the code, with the translations that there are."""
    new = Catalog(locale=language)
    for sentence in sentences():
        before = old.get(sentence.id if isinstance(sentence.id, str) else sentence.id[0])
        new.add(sentence.id, before.string if before else "")
    return new


def faults(catalogue: Catalog) -> list[str]:
    """Return what a catalogue lacks: translations that are missing, in doubt, or lose a placeholder."""
    wanted = {sentence.parts[0]: sentence for sentence in sentences()}
    found = {_first(message.id): message for message in catalogue if message.id}
    said = [f"{text!r}: is not there" for text in sorted(wanted.keys() - found.keys())]
    said += [f"{text!r}: is not in the code" for text in sorted(found.keys() - wanted.keys())]
    for text, message in found.items():
        translations = [message.string] if isinstance(message.string, str) else list(message.string or ())
        if message.fuzzy or not all(translations):
            said.append(f"{text!r}: needs a translation")
        elif text in wanted and (lost := _lost_placeholders(wanted[text], translations)):
            said.append(f"{text!r}: the translation has other placeholders: {', '.join(sorted(lost))}")
    return said


def _lost_placeholders(sentence: Sentence, translations: list[str]) -> set[str]:
    """Return the placeholders by which a translation differs; the singular may leave out the number."""
    needed = set(_PLACEHOLDER.findall(sentence.parts[-1]))
    return set().union(*(needed ^ set(_PLACEHOLDER.findall(text)) for text in translations[-1:]))


def _first(message_id: object) -> str:
    return message_id[0] if isinstance(message_id, tuple | list) else str(message_id)


def main(arguments: list[str], folder: Path = FOLDER) -> int:
    """Write the catalogues, or with `--check` leave them; return 1 where a translation is needed."""
    said: list[str] = []
    for language in (language for language in LANGUAGES if language != SOURCE):
        file = folder / f"{language}.po"
        with file.open("rb") as opened:
            catalogue = read_po(opened, locale=language)
        if "--check" not in arguments:
            catalogue = renewed(catalogue, language)
            file.write_bytes(_written(catalogue, language))
        said += [f"portal/{file.name}: {fault}\n" for fault in faults(catalogue)]
    sys.stderr.writelines(said)
    return bool(said)


def _written(catalogue: Catalog, language: str) -> bytes:
    out = BytesIO()
    write_po(out, catalogue, width=_WIDTH, omit_header=True, no_location=True)
    return _HEAD.format(language=language).encode() + out.getvalue()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
