"""Consents of a family: what they are asked, yes and no, stop, and what was answered before."""

from typing import Any, Final
from uuid import UUID

from fastapi import Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from services.kernel.errors import NotFound
from services.portal.documents.answer import pdf_answer
from services.portal.documents.receipt import receipt_blocks
from services.portal.forms import Choice, Form
from services.portal.pages.page import FAMILY, Area, Page
from services.portal.texts import _
from services.portal.visit import NO_STORE, Visit

AREA: Final = Area()

CONSENTS: Final = Page(
    "/consents",
    "family/consents.html",
    _("Consents"),
    FAMILY,
    calls=("consent.mine",),
    menu=_("Consents"),
    done={
        "given": _("You have said yes. You can stop the sharing at any time, here on this page."),
        "refused": _("You have said no. Nothing is shared, and nobody asks you why."),
        "stopped": _("The sharing is stopped. The organisation can see nothing any more."),
    },
)
CONSENT: Final = Page(
    "/consents/{case_id}/{consent_id}",
    "family/consent.html",
    _("Consent"),
    FAMILY,
    calls=("consent.mine",),
    commands=("give",),
    parent=CONSENTS,
)
STOP: Final = Page(
    "/consents/{case_id}/{consent_id}/stop",
    "family/stop.html",
    _("Stop the sharing"),
    FAMILY,
    calls=("consent.mine",),
    commands=("withdraw",),
    parent=CONSENTS,
)
RECEIPT: Final = Page(
    "/consents/{case_id}/{consent_id}/receipt",
    "family/receipt.html",
    _("Receipt of your consent"),
    FAMILY,
    looks=("receipt",),
    calls=("consent.receipt",),
    parent=CONSENTS,
)
RECEIPT_FILE: Final = Page(
    "/consents/{case_id}/{consent_id}/receipt.json",
    "",
    _("Receipt of your consent"),
    FAMILY,
    looks=("receipt",),
    calls=("consent.receipt",),
    parent=RECEIPT,
)
RECEIPT_PDF: Final = Page(
    "/consents/{case_id}/{consent_id}/receipt.pdf",
    "",
    _("Receipt of your consent"),
    FAMILY,
    looks=("receipt",),
    calls=("consent.receipt",),
    parent=RECEIPT,
)


class Answer(BaseModel):
    """What somebody answers to the question."""

    answer: str


ANSWER: Final = Form(
    Answer,
    answer=Choice(
        _("May this be shared?"),
        options=(("yes", _("Yes, it may be shared")), ("no", _("No, it may not be shared"))),
        sentences={"missing": _("Choose yes or no")},
    ),
)


@AREA.get(CONSENTS)
async def consents(visit: Visit) -> Response:
    """List what the person is asked, what they have permitted, and what was answered before."""
    found = await _mine(visit)
    names = await visit.organisation_names(one["organisation_id"] for one in found)
    groups = {
        status: [one for one in found if one["status"] in statuses] for status, statuses in _GROUPS.items()
    }
    return visit.render(**groups, names=names)


@AREA.get(CONSENT)
async def consent(visit: Visit, case_id: UUID, consent_id: UUID) -> Response:
    """Show one question in the person's language, with what is shared, for what, with whom and how long."""
    one = await _one(visit, case_id, consent_id)
    name = await visit.organisation_name(one["organisation_id"])
    return visit.render(one=one, name=name, form=visit.form(ANSWER))


@AREA.post(CONSENT, "give")
async def answer(visit: Visit, case_id: UUID, consent_id: UUID) -> Response:
    """Give or refuse, as the person has chosen."""
    chosen = visit.bind(ANSWER).value.answer
    at = f"/consent/cases/{case_id}/consents/{consent_id}"
    if chosen == "yes":
        sent = visit.sent
        body = {"language": sent.text("language"), "text_sha256": sent.text("text_sha256")}
        await visit.command("consent", f"{at}/give", body)
        return visit.redirect(CONSENTS, done="given")
    await visit.command("consent", f"{at}/refuse")
    return visit.redirect(CONSENTS, done="refused")


@AREA.get(STOP)
async def ask_to_stop(visit: Visit, case_id: UUID, consent_id: UUID) -> Response:
    """Say what stops, before it is stopped."""
    one = await _one(visit, case_id, consent_id)
    return visit.render(one=one, name=await visit.organisation_name(one["organisation_id"]))


@AREA.post(STOP, "withdraw")
async def stop(visit: Visit, case_id: UUID, consent_id: UUID) -> Response:
    """Take the consent back."""
    await visit.command("consent", f"/consent/cases/{case_id}/consents/{consent_id}/withdraw")
    return visit.redirect(CONSENTS, done="stopped")


@AREA.get(RECEIPT)
async def receipt(visit: Visit, case_id: UUID, consent_id: UUID) -> Response:
    """Show the receipt of one consent."""
    found, names = await _receipt(visit, case_id, consent_id)
    purpose = found["pii_processing"]["purposes"][0]
    return visit.render(
        receipt=found, purpose=purpose, names=names, model=await visit.model(), case_id=case_id
    )


@AREA.get(RECEIPT_PDF)
async def receipt_pdf(visit: Visit, case_id: UUID, consent_id: UUID) -> Response:
    """Return the receipt as an accessible PDF."""
    found, names = await _receipt(visit, case_id, consent_id)
    blocks = receipt_blocks(visit, found, ", ".join(names.values()), await visit.model())
    return await pdf_answer(visit, "receipt", blocks)


@AREA.get(RECEIPT_FILE)
async def receipt_file(visit: Visit, case_id: UUID, consent_id: UUID) -> Response:
    """Return the receipt as a file that a program reads."""
    found = await visit.get("consent", f"/consent/cases/{case_id}/consents/{consent_id}/receipt")
    headers = {**NO_STORE, "Content-Disposition": 'attachment; filename="receipt.json"'}
    return JSONResponse(found, headers=headers)


_GROUPS: Final = {
    "asked": frozenset({"requested"}),
    "given": frozenset({"given", "minuted"}),
    "past": frozenset({"refused", "withdrawn", "expired", "invalidated"}),
}


async def _mine(visit: Visit) -> list[dict[str, Any]]:
    found = await visit.get("consent", "/consent/mine", language=visit.language, include="ended")
    return list(found["items"] if isinstance(found, dict) else found)


async def _receipt(visit: Visit, case_id: UUID, consent_id: UUID) -> tuple[dict[str, Any], dict[str, str]]:
    """Return a receipt, and the names of the organisations that it says may read."""
    found = await visit.get("consent", f"/consent/cases/{case_id}/consents/{consent_id}/receipt")
    recipients = [one for one in found["party_identification"] if one["party_role"] == "recipient"]
    return found, await visit.organisation_names(one["party_id"] for one in recipients)


async def _one(visit: Visit, case_id: UUID, consent_id: UUID) -> dict[str, Any]:
    """Return one consent of the person's own; raise `NotFound`."""
    for one in await _mine(visit):
        if (one["case_id"], one["consent_id"]) == (str(case_id), str(consent_id)):
            return one
    raise NotFound
