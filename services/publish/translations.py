"""Renew the translated sentences from the code: `python -m services.publish.translations [--check]`."""

import importlib
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

import services
from services.kernel.errors import ProblemError
from services.kernel.http.problems import TITLES, title_of
from services.kernel.http.translations import FOLDER, TRANSLATED, context_of

_WIDTH: Final = 110
_HEAD: Final = """\
# Titles of problem responses. Only `msgstr` is written by hand: `make publish` renews the rest.
# `fuzzy` marks a sentence whose English has changed: read it again, then take the mark away.
msgid ""
msgstr ""
"Language: {language}\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"

"""


def sentences() -> dict[str, str]:
    """Return every sentence of a response by its context: each problem type, and HTTP's own."""
    for module in pkgutil.walk_packages(services.__path__, "services."):
        importlib.import_module(module.name)
    found = {context_of(kind): kind.title() for kind in _kinds(ProblemError)}
    found |= dict(title_of(status) for status in (*TITLES, 400))
    return dict(sorted(found.items()))


def _kinds(kind: type[ProblemError]) -> Iterator[type[ProblemError]]:
    if kind.__module__.startswith("services."):
        yield kind
    for one in kind.__subclasses__():
        yield from _kinds(one)


def renewed(old: Catalog, wanted: Mapping[str, str]) -> Catalog:
    """Return a catalogue of the wanted sentences by context.

    A translation is kept; where the English has changed it is marked as in doubt (fuzzy), a new sentence is
    left empty, and one that is no longer in the code is dropped.
    """
    before = {message.context: message for message in old if message.id}
    new = Catalog(locale=old.locale)
    for context, sentence in wanted.items():
        old_message = before.get(context)
        in_doubt = (
            old_message is not None
            and bool(old_message.string)
            and (old_message.fuzzy or old_message.id != sentence)
        )
        new.add(
            sentence,
            old_message.string if old_message else "",
            context=context,
            flags={"fuzzy"} if in_doubt else set(),
        )
    return new


def faults(catalogue: Catalog, wanted: Mapping[str, str]) -> list[str]:
    """Return the messages of a catalogue that are missing, empty, in doubt, or not in the code."""
    found = {message.context: message for message in catalogue if message.id}
    said = [f"{context}: is not there" for context in sorted(wanted.keys() - found.keys())]
    for context, message in found.items():
        if wanted.get(context or "") != message.id:
            said.append(f"{context}: is not what the code says")
        elif not message.string:
            said.append(f"{context}: is empty")
        elif message.fuzzy:
            said.append(f"{context}: is in doubt; read it again and take the mark away")
    return said


def read(file: Path, language: str) -> Catalog:
    """Return the catalogue of a file; an empty one where there is none."""
    if not file.exists():
        return Catalog(locale=language)
    with file.open("rb") as opened:
        return read_po(opened, locale=language)


def main(arguments: list[str], folder: Path = FOLDER) -> int:
    """Write the catalogues, or with `--check` leave them; return 1 where a translation is needed."""
    wanted = sentences()
    said: list[str] = []
    for language in TRANSLATED:
        file = folder / f"{language}.po"
        catalogue = read(file, language)
        if "--check" not in arguments:
            catalogue = renewed(catalogue, wanted)
            file.write_bytes(_written(catalogue, language))
        said += [f"{file.name}: {fault}\n" for fault in faults(catalogue, wanted)]
    sys.stderr.writelines(said)
    return bool(said)


def _written(catalogue: Catalog, language: str) -> bytes:
    out = BytesIO()
    write_po(out, catalogue, width=_WIDTH, omit_header=True)
    return _HEAD.format(language=language).encode() + out.getvalue()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
