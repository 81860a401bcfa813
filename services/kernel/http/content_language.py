"""Which of our languages somebody is answered in: the one they ask for, else the municipality's."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from fastapi import Request

from contracts.model import CollaborationModel
from contracts.model_parts import LANGUAGES, Language

SOURCE: Final[Language] = "en"
"""The language of the sentences in the code, and of whoever asks for none and has no model."""

_UNDERSTOOD: Final[Mapping[str, Language]] = {"da": "da", "nb": "nb", "no": "nb", "nn": "nb", "en": "en"}
_RANGE: Final = re.compile(
    r"\s*(?P<tag>\*|[a-z]{1,8})(?:-[a-z0-9]{1,8})*\s*(?:;\s*q=(?P<quality>0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*)?",
    re.IGNORECASE,
)


class DefaultLanguages:
    """The usual language of each municipality that has a model here, and of the installation."""

    def __init__(self, models: Iterable[CollaborationModel]) -> None:
        """Take the first language of each municipality's newest model."""
        ordered = sorted(models, key=lambda model: model.version)
        self._of: Mapping[str, Language] = {model.municipality: model.languages[0] for model in ordered}
        spoken = set(self._of.values())
        self._fallback = spoken.pop() if len(spoken) == 1 else SOURCE

    def language(self, tenant: str | None) -> Language:
        """Return a municipality's language; without one, the language that all have in common, or English."""
        return self._of.get(tenant or "", self._fallback)


def language_of(request: Request) -> Language:
    """Return the language in which a request is answered.

    The municipality is known once the token has been read (`request.state.tenant`).
    """
    house: DefaultLanguages = request.app.state.house
    tenant: str | None = getattr(request.state, "tenant", None)
    return preferred_language(",".join(request.headers.getlist("accept-language")), house.language(tenant))


def preferred_language(accept_language: str, defaults: Language) -> Language:
    """Return which of our languages an Accept-Language header likes best (RFC 9110, 12.5.4).

    Norwegian of any kind is answered in bokmål; whoever likes none of ours is answered in `house`.
    """
    likings: dict[Language | None, float] = {}
    for language, quality in _ranges(accept_language):
        likings[language] = max(quality, likings.get(language, 0.0))
    in_order = (*(language for language in likings if language), defaults, *LANGUAGES)
    wishes = {language: likings.get(language, likings.get(None, 0.0)) for language in in_order}
    best = max(in_order, key=wishes.__getitem__)
    return best if wishes[best] > 0 else defaults


def _ranges(accept_language: str) -> Iterator[tuple[Language | None, float]]:
    """Return what a header says of each of our languages, and under None of all that it does not name.

    What is no language range with a quality, or is none of ours, is passed by.
    """
    for part in accept_language.split(","):
        found = _RANGE.fullmatch(part)
        tag = found["tag"].lower() if found else ""
        if found and (tag == "*" or tag in _UNDERSTOOD):
            yield _UNDERSTOOD.get(tag), float(found["quality"] or 1)
