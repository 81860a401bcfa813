"""Content language of a response: the request's preferred one, else the municipality's."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from fastapi import Request

from contracts.model import CollaborationModel
from contracts.model_parts import LANGUAGES, Language

SOURCE: Final[Language] = "en"
"""The language of the sentences in the code, and of a response without preference and model."""

_SUPPORTED: Final[Mapping[str, Language]] = {"da": "da", "nb": "nb", "no": "nb", "nn": "nb", "en": "en"}
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

    The municipality is set once the token has been verified (`request.state.tenant`).
    """
    defaults: DefaultLanguages = request.app.state.default_languages
    tenant: str | None = getattr(request.state, "tenant", None)
    return preferred_language(",".join(request.headers.getlist("accept-language")), defaults.language(tenant))


def preferred_language(accept_language: str, defaults: Language) -> Language:
    """Return the supported language that an Accept-Language header prefers (RFC 9110, 12.5.4).

    Norwegian of any kind gives bokmål; a header that accepts none of our languages gives `defaults`.
    """
    qualities: dict[Language | None, float] = {}
    for language, quality in _ranges(accept_language):
        qualities[language] = max(quality, qualities.get(language, 0.0))
    in_order = (*(language for language in qualities if language), defaults, *LANGUAGES)
    scores = {language: qualities.get(language, qualities.get(None, 0.0)) for language in in_order}
    best = max(in_order, key=scores.__getitem__)
    return best if scores[best] > 0 else defaults


def _ranges(accept_language: str) -> Iterator[tuple[Language | None, float]]:
    """Return the quality of each supported language in a header, and under None that of `*`.

    Malformed ranges and unsupported languages are skipped.
    """
    for part in accept_language.split(","):
        found = _RANGE.fullmatch(part)
        tag = found["tag"].lower() if found else ""
        if found and (tag == "*" or tag in _SUPPORTED):
            yield _SUPPORTED.get(tag), float(found["quality"] or 1)
