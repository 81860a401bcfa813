"""The consents of a case: who must say yes, what each has answered, and answers on paper or by mouth."""

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel, Field

from services.kernel.errors import NotFound
from services.portal.casework.case_file import CASEWORKER, file_of, open_file, organisations_in
from services.portal.casework.stages import OF_CONSENT, OF_PERMISSION
from services.portal.casework.words import person_names, same
from services.portal.forms import Choice, Form, Text
from services.portal.pages.case import CASE
from services.portal.pages.page import Area, Page
from services.portal.texts import _
from services.portal.visit import Visit

AREA: Final = Area()

CONSENT: Final = Page(
    "/cases/{case_id}/consent",
    "case/consent.html",
    _("Consent"),
    CASEWORKER,
    looks=("case", "consent"),
    calls=("referral.case", "consent.case"),
    parent=CASE,
    done={
        "minuted": _("The yes is on record. A colleague must confirm it before it counts."),
        "refused": _("The no is on record. Nothing is shared."),
        "withdrawn": _("It is on record that the yes is taken back. The sharing has stopped."),
        "custody": _("It is on record who holds parental responsibility."),
    },
)
ANSWER: Final = Page(
    "/cases/{case_id}/consent/{consent_id}",
    "case/answer.html",
    _("Put an answer on record"),
    CASEWORKER,
    looks=("case", "consent", "receipt"),
    calls=("referral.case", "consent.case", "consent.receipt"),
    commands=("answer", "withdraw"),
    parent=CONSENT,
)


class Answered(BaseModel):
    """What somebody answered, how, and where the evidence is found."""

    answer: Literal["yes", "no"]
    evidence: Literal["paper_signed", "oral_minuted"]
    reference: Annotated[str, Field(max_length=2000)] = ""


HOW: Final = (("paper_signed", _("On paper, with a signature")), ("oral_minuted", _("By mouth, and minuted")))
ANSWERING: Final = Form(
    Answered,
    answer=Choice(_("What did they answer?"), options=(("yes", _("Yes")), ("no", _("No")))),
    evidence=Choice(_("How did they answer?"), options=HOW),
    reference=Text(
        _("Where is the evidence found?"),
        _("The number of the document in the file, or what was said and when"),
        lines=2,
    ),
)


@AREA.get(CONSENT)
async def consents(visit: Visit, case_id: UUID) -> Response:
    """Show who must say yes, and what each has answered for each referral."""
    file = await open_file(visit, case_id, consent=visit.get("consent", f"/consent/cases/{case_id}"))
    consent = file["consent"]
    found = {str(one["organisation_id"]) for one in (consent["permissions"] if consent else ())}
    return visit.render(
        **file,
        names=person_names(consent),
        organisations=await visit.organisation_names(found or organisations_in(file["case"])),
        permission_stages=OF_PERMISSION,
        consent_stages=OF_CONSENT,
        me=str(visit.person.sub),
    )


@AREA.get(ANSWER)
async def ask_for_answer(visit: Visit, case_id: UUID, consent_id: UUID) -> Response:
    """Ask what somebody answered elsewhere than here, and show the text that they were asked."""
    file = await file_of(visit, case_id)
    consent = await visit.get("consent", f"/consent/cases/{case_id}")
    one = _one(consent, consent_id)
    receipt = await visit.get("consent", f"/consent/cases/{case_id}/consents/{consent_id}/receipt")
    permission = next(p for p in consent["permissions"] if p["referral_id"] == one["referral_id"])
    return visit.render(
        **file,
        one=one,
        receipt=receipt,
        permission=permission,
        consent_version=consent["version"],
        who=person_names(consent).get(str(one["person_id"]), ""),
        organisation=await visit.organisation_name(permission["organisation_id"]),
        form=visit.form(ANSWERING),
    )


@AREA.post(ANSWER, "answer")
async def answer(visit: Visit, case_id: UUID, consent_id: UUID) -> Response:
    """Put a yes or a no on record; a yes waits for a second employee."""
    said = visit.bind(ANSWERING).value
    at = f"/consent/cases/{case_id}/consents/{consent_id}"
    if said.answer == "no":
        await visit.command("consent", f"{at}/refuse", {"evidence": said.evidence}, version="")
        return visit.redirect(CONSENT, done="refused", case_id=case_id)
    if not said.reference:
        raise visit.refuse("reference", _("Write where the evidence of the yes is found"))
    body = {
        "language": visit.sent.text("language"),
        "text_sha256": visit.sent.text("text_sha256"),
        "evidence": said.evidence,
        "evidence_reference": said.reference,
    }
    await visit.command("consent", f"{at}/give", body)
    return visit.redirect(CONSENT, done="minuted", case_id=case_id)


@AREA.post(ANSWER, "withdraw")
async def withdraw(visit: Visit, case_id: UUID, consent_id: UUID) -> Response:
    """Put on record that a yes is taken back; the sharing stops at once."""
    at = f"/consent/cases/{case_id}/consents/{consent_id}/withdraw"
    await visit.command("consent", at, {"evidence": "oral_minuted"}, version="")
    return visit.redirect(CONSENT, done="withdrawn", case_id=case_id)


def _one(consent: dict[str, Any], consent_id: UUID) -> dict[str, Any]:
    for one in consent["consents"]:
        if same(one["consent_id"], consent_id):
            return dict(one)
    raise NotFound
