"""The referral of a case: what is asked of whom, consent for its facts, sending, and taking it back."""

from typing import Any, Final
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel

from services.kernel.errors import NotFound
from services.portal.casework.case_file import CASEWORKER, file_of, organisations_in
from services.portal.casework.stages import LIVE, OF_REFERRAL
from services.portal.casework.words import departments, offer_titles, person_names, same
from services.portal.forms import Choice, Choices, Form
from services.portal.pages.case import CASE
from services.portal.pages.page import Area, Page
from services.portal.service_client import SILENT
from services.portal.texts import _
from services.portal.visit import Visit

AREA: Final = Area()

REFERRAL: Final = Page(
    "/cases/{case_id}/referral",
    "case/referral.html",
    _("Referral"),
    CASEWORKER,
    looks=("case",),
    calls=("referral.case", "directory.offers", "directory.departments"),
    commands=("send",),
    parent=CASE,
    done={"sent": _("The referral is sent. The organisation has until the day below to answer.")},
)
ASK: Final = Page(
    "/cases/{case_id}/referral/{referral_id}/ask",
    "case/ask.html",
    _("Ask for consent"),
    CASEWORKER,
    looks=("case", "consent"),
    calls=("referral.case", "consent.case"),
    commands=("ask",),
    parent=REFERRAL,
)
RECALL: Final = Page(
    "/cases/{case_id}/referral/{referral_id}/recall",
    "case/recall.html",
    _("Take the referral back"),
    CASEWORKER,
    looks=("case",),
    calls=("referral.case",),
    commands=("recall",),
    parent=REFERRAL,
)


class Sharing(BaseModel):
    """What more than the necessary is to be shared, and what for."""

    facts: list[str] = []
    purpose: str


class Reason(BaseModel):
    """Why, in a word of the model."""

    reason: str


ASKING: Final = Form(
    Sharing,
    facts=Choices(
        _("What else does the organisation need to know?"),
        _("Choose no more than is needed; the family sees each of these"),
    ),
    purpose=Choice(_("What is it for?"), _("The consent names one purpose")),
)
RECALLING: Final = Form(Reason, reason=Choice(_("Why is it taken back?")))


@AREA.get(REFERRAL)
async def referral(visit: Visit, case_id: UUID) -> Response:
    """Show the referrals of a case, the latest first, with what can be done with each."""
    file = await file_of(visit, case_id)
    case = file["case"]
    more = await visit.parts(titles=offer_titles(visit), departments=departments(visit))
    return visit.render(
        **file,
        referrals=list(reversed(case["referrals"])),
        names=await visit.organisation_names(organisations_in(case)),
        titles=more["titles"] or {},
        departments=dict(more["departments"] or ()),
        stages=OF_REFERRAL,
        live=LIVE,
    )


@AREA.post(REFERRAL, "send")
async def send(visit: Visit, case_id: UUID) -> Response:
    """Send a referral to its organisation."""
    at = f"/referral/cases/{case_id}/referrals/{visit.sent.id('referral_id')}/send"
    await visit.command("referral", at)
    return visit.redirect(REFERRAL, done="sent", case_id=case_id)


@AREA.get(ASK)
async def ask_for_consent(visit: Visit, case_id: UUID, referral_id: UUID) -> Response:
    """Show what will be shared with whom and who must say yes, before they are asked."""
    file = await file_of(visit, case_id)
    words, one = file["words"], _one(file["case"], referral_id)
    more = await visit.parts(consent=visit.get("consent", f"/consent/cases/{case_id}"))
    consent = more["consent"]
    always = [fact for fact in words.model["facts"] if fact["always"]]
    chosen = [fact for fact in words.model["facts"] if not fact["always"]]
    form = visit.form(ASKING, purpose=one["purposes"][0]).with_options(
        facts=[(fact["code"], words.said(fact["text"])) for fact in chosen],
        purpose=[(code, words.of("purposes", code)) for code in one["purposes"]],
    )
    return visit.render(
        **file,
        one=one,
        form=form,
        always=[words.said(fact["text"]) for fact in always],
        organisation=await visit.organisation_name(one["organisation_id"]),
        custody=consent["custody"] if consent else None,
        silent=consent is SILENT,
        must=_must(consent),
    )


@AREA.post(ASK, "ask")
async def ask(visit: Visit, case_id: UUID, referral_id: UUID) -> Response:
    """Ask all who must say yes."""
    said = visit.bind(ASKING).value
    at = f"/referral/cases/{case_id}/referrals/{referral_id}/await-consent"
    await visit.command("referral", at, said.model_dump())
    return visit.redirect(CASE, done="asked", case_id=case_id)


@AREA.get(RECALL)
async def ask_why_back(visit: Visit, case_id: UUID, referral_id: UUID) -> Response:
    """Ask why a referral is taken back, and say what follows."""
    file = await file_of(visit, case_id)
    one = _one(file["case"], referral_id)
    form = visit.form(RECALLING).with_options(reason=file["words"].options("recall_reasons"))
    organisation = await visit.organisation_name(one["organisation_id"])
    return visit.render(**file, one=one, form=form, organisation=organisation)


@AREA.post(RECALL, "recall")
async def recall(visit: Visit, case_id: UUID, referral_id: UUID) -> Response:
    """Take a referral back."""
    said = visit.bind(RECALLING).value
    at = f"/referral/cases/{case_id}/referrals/{referral_id}/recall"
    await visit.command("referral", at, said.model_dump(), version="")
    return visit.redirect(CASE, done="recalled", case_id=case_id)


def _one(case: dict[str, Any], referral_id: UUID) -> dict[str, Any]:
    for one in case["referrals"]:
        if same(one["referral_id"], referral_id):
            return dict(one)
    raise NotFound


def _must(consent: Any) -> list[str]:
    """Return the names of all who must say yes."""
    custody = consent["custody"] if consent else None
    if not custody:
        return []
    names, young = person_names(consent), custody["young_person"]
    people = [*custody["holders"], *([young] if young else [])]
    return [names[str(one["person_id"])] for one in people if one["must"]]
