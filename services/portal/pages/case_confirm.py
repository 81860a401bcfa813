"""What a second employee confirms: a yes that a colleague has put on record, and who holds custody."""

from typing import Any, Final, Literal
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel

from services.kernel.errors import NotFound
from services.portal.casework.words import same, words_of
from services.portal.forms import Choice, Form
from services.portal.pages.case_consent import CONSENT, HOW
from services.portal.pages.page import Area, Page
from services.portal.texts import _
from services.portal.visit import Visit

AREA: Final = Area()
COLLEAGUES: Final = ("caseworker", "leader", "bridge_builder")

TO_CONFIRM: Final = Page(
    "/cases/{case_id}/to-confirm",
    "case/to_confirm.html",
    _("To be confirmed by a second employee"),
    COLLEAGUES,
    looks=("confirmation",),
    calls=("consent.to-confirm",),
    commands=("custody",),
    parent=CONSENT,
    done={
        "custody": _("You have confirmed who holds parental responsibility."),
        "confirmed": _("You have confirmed the yes. It counts from now."),
        "rejected": _("The yes is rejected. The person is asked anew."),
    },
)
CONFIRM: Final = Page(
    "/cases/{case_id}/to-confirm/{consent_id}",
    "case/confirm.html",
    _("Confirm a yes"),
    COLLEAGUES,
    looks=("confirmation",),
    calls=("consent.to-confirm",),
    commands=("decide",),
    parent=TO_CONFIRM,
)


class Decision(BaseModel):
    """Whether a second employee confirms a yes, and how the person was told of it, or why not."""

    decision: Literal["confirm", "reject"]
    told_by: Literal["letter", "digital_post", "phone", "in_person"] | None = None
    doubt: Literal["evidence_not_found", "not_said", "not_a_holder", "other_question"] | None = None


DECIDING: Final = Form(
    Decision,
    decision=Choice(
        _("Do you confirm the yes?"),
        options=(("confirm", _("Yes, I have seen the evidence")), ("reject", _("No, there is doubt"))),
    ),
    told_by=Choice(
        _("If yes: how was the person told that their yes is on record?"),
        _("By what the municipality knew before, never by a number from this case alone"),
        options=(
            ("letter", _("By letter")),
            ("digital_post", _("By digital post")),
            ("phone", _("By telephone")),
            ("in_person", _("Face to face")),
        ),
    ),
    doubt=Choice(
        _("If no: what is the doubt?"),
        options=(
            ("evidence_not_found", _("The evidence is not where it should be")),
            ("not_said", _("The person did not say yes")),
            ("not_a_holder", _("The person does not hold parental responsibility")),
            ("other_question", _("The yes was to another question")),
        ),
    ),
)


@AREA.get(TO_CONFIRM)
async def to_confirm(visit: Visit, case_id: UUID) -> Response:
    """Show what waits for a second employee, and nothing else of the case."""
    found = await visit.get("consent", f"/consent/cases/{case_id}/to-confirm")
    return visit.render(found=found, case_id=case_id, me=str(visit.person.sub))


@AREA.post(TO_CONFIRM, "custody")
async def confirm_custody(visit: Visit, case_id: UUID) -> Response:
    """Confirm who holds parental responsibility."""
    await visit.command("consent", f"/consent/cases/{case_id}/custody/confirm")
    return visit.redirect(TO_CONFIRM, done="custody", case_id=case_id)


@AREA.get(CONFIRM)
async def ask_to_confirm(visit: Visit, case_id: UUID, consent_id: UUID) -> Response:
    """Show one yes with its evidence, and ask whether it stands."""
    found = await visit.get("consent", f"/consent/cases/{case_id}/to-confirm")
    one = _one(found, consent_id)
    return visit.render(
        found=found,
        one=one,
        case_id=case_id,
        words=await words_of(visit),
        organisation=await visit.organisation_name(one["organisation_id"]),
        how={code: visit.translate(text) for code, text in HOW},
        form=visit.form(DECIDING),
    )


@AREA.post(CONFIRM, "decide")
async def decide(visit: Visit, case_id: UUID, consent_id: UUID) -> Response:
    """Confirm a yes, or reject it."""
    said = visit.bind(DECIDING).value
    at = f"/consent/cases/{case_id}/consents/{consent_id}"
    if said.decision == "reject":
        if said.doubt is None:
            raise visit.refuse("doubt", _("Choose what the doubt is"))
        await visit.command("consent", f"{at}/reject", {"reason": said.doubt}, version="")
        return visit.redirect(TO_CONFIRM, done="rejected", case_id=case_id)
    if said.told_by is None:
        raise visit.refuse("told_by", _("Choose how the person was told"))
    await visit.command("consent", f"{at}/confirm", {"told_by": said.told_by})
    return visit.redirect(TO_CONFIRM, done="confirmed", case_id=case_id)


def _one(found: dict[str, Any], consent_id: UUID) -> dict[str, Any]:
    for one in found["consents"]:
        if same(one["consent_id"], consent_id):
            return dict(one)
    raise NotFound
