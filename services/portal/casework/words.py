"""Words of the collaboration model and names of organisations, offers and departments on a page."""

from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from contracts.model_parts import Language
from services.portal.catalogue import options_of, word
from services.portal.forms import Option
from services.portal.rendering import translate
from services.portal.texts import _
from services.portal.visit import Visit

_WHY: Final[Mapping[str, str]] = {
    "awaiting_consent": _("The family did not answer in time"),
    "sent": _("The organisation did not answer in time"),
    "refused": _("Somebody said no to sharing"),
    "withdrawn": _("Somebody took their yes back"),
    "expired": _("The consent has run out"),
    "lapsed": _("Not everybody answered in time"),
    "custody_changed": _("It has changed who must say yes"),
    "consent_lost": _("The consent was taken back, or has run out"),
    "recalled": _("The municipality took the referral back"),
    "no_meeting": _("The start-up meeting was not held"),
    "completed": _("The agreed period is over"),
}
"""The services' own words for why something ended."""


class Words:
    """The words of the model that a municipality follows, in one language."""

    def __init__(self, model: Mapping[str, Any], language: Language) -> None:
        """Take the model as the directory shows it."""
        self.model = model
        self.language = language

    def of(self, kind: str, code: str) -> str:
        """Return what a person reads for a code: `of("facts", "need")`."""
        if kind in {"conditions", "factors"}:
            return word(self.model["target_group"], kind, code, self.language)
        return word(self.model, kind, code, self.language)

    def all_of(self, kind: str, codes: Iterable[str]) -> list[str]:
        """Return what a person reads for several codes."""
        return [self.of(kind, code) for code in codes]

    def options(self, kind: str) -> list[Option]:
        """Return the choices that the words of a kind make."""
        if kind in {"conditions", "factors"}:
            return options_of(self.model["target_group"][kind], self.language)
        return options_of(self.model[kind], self.language)

    def said(self, text: Mapping[str, str]) -> str:
        """Return a text of the model."""
        return text.get(self.language) or text["en"]

    def reason(self, code: str) -> str:
        """Return why something ended: a reason of the model, or one of the services' own."""
        for kind in ("end_reasons", "recall_reasons", "decline_reasons"):
            if any(one["code"] == code for one in self.model[kind]):
                return self.of(kind, code)
        return translate(self.language, _WHY[code]) if code in _WHY else code

    def reasons(self, codes: Iterable[str]) -> list["Reason"]:
        """Return the questions of eligibility with the answer that each got, in the model's order."""
        found = set(codes)
        return [
            Reason(self.said(criterion["text"]), self.said(answer["text"]), fits=(name == needed))
            for criterion in self.model["eligibility"]
            for needed in ("holds" if criterion["kind"] == "needed" else "fails",)
            for name in ("holds", "fails")
            for answer in (criterion[name],)
            if answer["code"] in found
        ]


class Reason:
    """One question of eligibility, its answer, and whether that speaks for the case."""

    def __init__(self, question: str, answer: str, *, fits: bool) -> None:
        """Take the words."""
        self.question = question
        self.answer = answer
        self.fits = fits


async def words_of(visit: Visit) -> Words:
    """Return the words of the model that the person's municipality follows."""
    return Words(await visit.model(), visit.language)


async def departments(visit: Visit) -> list[Option]:
    """Return the departments of the municipality as choices."""
    found = await visit.items("directory", "/directory/departments")
    return [(str(one["department_id"]), str(one["name"])) for one in found]


async def offers_of(visit: Visit, **needed: object) -> list[Mapping[str, Any]]:
    """Return the offers of the catalogue that cover a need."""
    return await visit.items("directory", "/directory/offers", **needed)


async def offer_titles(visit: Visit) -> dict[str, str]:
    """Return the title of each offer by its id."""
    return {str(one["offer_id"]): str(one["title"]) for one in await offers_of(visit)}


def person_names(consent: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the names of those who may be asked, by id; nothing where no custody is on record."""
    custody = consent["custody"] if consent else None
    if not custody:
        return {}
    people = [*custody["holders"], *([custody["young_person"]] if custody["young_person"] else [])]
    return {str(one["person_id"]): str(one["name"] or "") for one in people}


def same(one: UUID | str | None, other: UUID | str | None) -> bool:
    """Return whether two ids are the same, however they are written."""
    return str(one) == str(other)
