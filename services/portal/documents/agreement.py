"""The cooperation agreement as a document that the parties take along."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from services.portal.catalogue import word
from services.portal.documents.typesetting import Block, Grid, Heading, Item, Paragraph, Points, Rows
from services.portal.rendering import as_day, day_text
from services.portal.texts import _
from services.portal.visit import Visit

_PARTIES: Final[Mapping[str, str]] = {
    "municipality": _("The municipality"),
    "organisation": _("The organisation"),
    "family": _("The family"),
    "young_person": _("The young person"),
}
_PAYERS: Final[Mapping[str, str]] = {
    "nobody": _("Nobody, it is free"),
    "shared": _("It is shared"),
}


def agreement_blocks(
    visit: Visit, agreement: Mapping[str, Any], organisation: str, model: Mapping[str, Any]
) -> Iterator[Block]:
    """Yield what an agreement says: the version in force, else the one that is ready to be signed.

    Of one that has neither it says that it is being written.
    """
    said, terms = visit.translate, agreement["terms"] or agreement["proposal"]
    if terms is None:
        yield Paragraph(said(_("The agreement is being written. There is nothing to sign yet.")))
        return
    yield Rows([
        (said(_("With whom")), organisation or said(_("An organisation"))),
        (said(_("State")), said(_("In force") if agreement["terms"] else _("Waits for signatures"))),
        (said(_("From")), _day(visit, terms["starts_on"])),
        (said(_("Until")), _day(visit, terms["ends_on"])),
    ])  # fmt: skip
    yield Heading(said(_("Goals")))
    yield Points([_goal(visit, goal, model) for goal in terms["goals"]])
    if terms["wants"]:
        yield Heading(said(_("Why we do it")))
        yield Rows([(_party(visit, party), text) for party, text in terms["wants"].items()])
    yield Heading(said(_("What it costs")))
    yield Rows(list(_cost(visit, terms, model)))
    yield Heading(said(_("How we follow up")))
    yield Rows([
        (said(_("Days between two words from the organisation")), str(terms["update_every_days"])),
        (said(_("Days between two evaluations")), str(terms["evaluate_every_days"])),
    ])  # fmt: skip
    yield Heading(said(_("Signatures")))
    if terms["signed"]:
        lines = [(_party(visit, one["party"]), _day(visit, one["on"])) for one in terms["signed"]]
        yield Grid((said(_("Who")), said(_("Day"))), lines)
    missing = set(agreement["must_sign"]) - {one["party"] for one in terms["signed"]}
    if missing and not agreement["terms"]:
        names = ", ".join(_party(visit, party) for party in _PARTIES if party in missing)
        yield Paragraph(f"{said(_('Has not signed yet:'))} {names}")


def _goal(visit: Visit, goal: Mapping[str, Any], model: Mapping[str, Any]) -> Item:
    responsible = visit.translate(_("Responsible: %(party)s"), party=_party(visit, goal["responsible"]))
    return Item(
        goal["text"] or word(model, "purposes", goal["purpose"], visit.language),
        [responsible],
        [f"{action['text']} ({_party(visit, action['responsible'])})" for action in goal["actions"]],
    )


def _cost(visit: Visit, terms: Mapping[str, Any], model: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield visit.translate(_("Cost")), word(model, "prices", terms["cost"], visit.language)
    payer = _PAYERS.get(terms["payer"]) or _PARTIES.get(terms["payer"], terms["payer"])
    yield visit.translate(_("Who pays?")), visit.translate(payer)
    if terms["cost_text"]:
        yield visit.translate(_("More about the cost")), terms["cost_text"]


def _party(visit: Visit, party: str) -> str:
    return visit.translate(_PARTIES[party]) if party in _PARTIES else party


def _day(visit: Visit, day: str) -> str:
    return day_text(as_day(day), visit.language)
