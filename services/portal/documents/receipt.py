"""The receipt of a consent as a document that the person who was asked may keep."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from services.portal.catalogue import word
from services.portal.documents.typesetting import Block, Heading, Item, Points, Quotation, Rows
from services.portal.rendering import as_day, as_moment, day_text, moment_text
from services.portal.texts import _
from services.portal.visit import Visit

_STATES: Final[Mapping[str, str]] = {
    "given": _("You have said yes"),
    "minuted": _("Your yes is being checked"),
    "requested": _("You are asked"),
    "refused": _("You said no"),
    "withdrawn": _("You stopped the sharing"),
    "expired": _("The time has run out"),
}


def receipt_blocks(
    visit: Visit, receipt: Mapping[str, Any], organisations: str, model: Mapping[str, Any]
) -> Iterator[Block]:
    """Yield what a receipt says: with whom what is shared, what was asked, and what has happened."""
    said, purpose = visit.translate, receipt["pii_processing"]["purposes"][0]
    begins, ends = receipt["not_before"], receipt["expires"]
    yield Rows([
        (said(_("With whom")), organisations or said(_("An organisation"))),
        (said(_("What for")), word(model, "purposes", purpose["purpose"], visit.language)),
        (said(_("State")), _state(visit, receipt["state"])),
        (said(_("From")), moment_text(as_moment(begins), visit.language) if begins else "-"),
        (said(_("Until")), day_text(as_day(ends), visit.language) if ends else "-"),
        (said(_("Number of the receipt")), receipt["record_id"]),
    ])  # fmt: skip
    yield Heading(said(_("What may be shared")))
    kinds = [word(model, "facts", one["pii_type"], visit.language) for one in purpose["pii_information"]]
    yield Points([Item(kind) for kind in kinds])
    if receipt["text"]:
        yield Heading(said(_("What you were asked")))
        paragraphs = [part for part in receipt["text"].split("\n") if part]
        yield Quotation(paragraphs, receipt["pii_processing"]["language"])
        yield Rows([(said(_("Fingerprint of the text (SHA-256)")), receipt["text_sha256"])])
    yield Heading(said(_("What has happened")))
    yield Points([
        Item(f"{moment_text(as_moment(event['event_time']), visit.language)}: "
             f"{_state(visit, event['event_state'])}")
        for event in receipt["events"]
    ])  # fmt: skip


def _state(visit: Visit, state: str) -> str:
    return visit.translate(_STATES.get(state, _("No longer valid")))
