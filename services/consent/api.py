"""Consent over HTTP: custody is put on record, people see what they are asked, and answer."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints

from contracts.model_parts import Language
from services.consent.domain.access import CONFIRMATION, receipt_part
from services.consent.domain.commands import (
    ConfirmConsent,
    ConfirmCustody,
    GiveConsent,
    NamedHolder,
    RecordCustody,
    RefuseConsent,
    RejectConsent,
    WithdrawConsent,
)
from services.consent.domain.states import AnswerForm, Case, Doubt, ToldBy
from services.consent.projections import cases_of, known_persons
from services.consent.views.cases import CaseView, MineCaseView, MineView, case_view, mine, own_case
from services.consent.views.confirmation import ToConfirmView, to_confirm
from services.consent.views.receipt import Receipt, receipt_of
from services.kernel.errors import NotFound
from services.kernel.http.fields import Day, GivenId
from services.kernel.http.requests import CommandResult, RequestContext, request_context
from services.kernel.ids import new_id

router = APIRouter(prefix="/consent", tags=["consent"])
ConsentRequest = Annotated[RequestContext, Depends(request_context("consent"))]

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Reference = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=2000),
    Field(description="where the evidence is found: a file number, or what was said and when"),
]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class HolderBody(_Body):
    """A holder of parental responsibility; without an id, one is made, and the case shows it."""

    person_id: GivenId | None = None
    name: Name
    residence: StrictBool
    language: Language = "da"


class CustodyBody(_Body):
    """Who holds parental responsibility; the young person is named where they are asked too.

    A young person without an id is the child of the case.
    """

    holders: Annotated[list[HolderBody], Field(max_length=8)]
    born: Day
    young_person_id: GivenId | None = None
    young_person_name: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] = ""
    young_person_language: Language = "da"


class YesBody(_Body):
    """A yes to the text with this fingerprint; a caseworker adds how it was given and where that is found."""

    language: Language
    text_sha256: Sha256
    evidence: AnswerForm | None = None
    evidence_reference: Reference = ""


class NoBody(_Body):
    """A no; a caseworker may add how it was given."""

    evidence: AnswerForm | None = None


class ConfirmationBody(_Body):
    """The channel by which the person was told that a yes was minuted for them.

    It is not a number or an address from the case's own file: what one employee typed proves nothing.
    """

    told_by: ToldBy


class RejectionBody(_Body):
    """Why a minuted yes is not confirmed."""

    reason: Doubt


@router.post("/cases/{case_id}/custody")
async def record_custody(case_id: UUID, body: CustodyBody, request: ConsentRequest) -> CommandResult:
    """Put on record who holds parental responsibility, or confirm it anew.

    An id that is named is one that this municipality was given before.
    """
    named = {holder.person_id for holder in body.holders} | {body.young_person_id}
    ids = [person_id for person_id in named if person_id is not None]
    known = await request.query(known_persons, person_ids=ids) if ids else set()
    command = RecordCustody(
        holders=tuple(
            NamedHolder(holder.person_id or new_id(), holder.name, holder.residence, holder.language)
            for holder in body.holders
        ),
        born=body.born,
        young_person_id=body.young_person_id,
        young_person_name=body.young_person_name,
        young_person_language=body.young_person_language,
        new_id=new_id(),
        unknown=frozenset(ids) - known,
    )
    return await request.execute(case_id, command)


@router.post("/cases/{case_id}/custody/confirm")
async def confirm_custody(case_id: UUID, request: ConsentRequest) -> CommandResult:
    """Confirm, as a second employee, who holds parental responsibility."""
    return await request.execute(case_id, ConfirmCustody())


@router.get("/cases/{case_id}/to-confirm")
async def read_what_to_confirm(case_id: UUID, request: ConsentRequest) -> ToConfirmView:
    """Return what waits for a second employee of the department; the access is logged."""
    seen = await request.read_private(case_id, what=(CONFIRMATION,), purpose="casework")
    return to_confirm(seen.state, case_id, seen.version, seen.private)


@router.get("/cases/{case_id}")
async def read_case(case_id: UUID, request: ConsentRequest) -> CaseView:
    """Return a case's custody, permissions and records; the access is logged."""
    seen = await request.read_private(case_id, what=("custody", "consents"), purpose="casework")
    return case_view(seen.state, case_id, seen.version, seen.private)


@router.get("/mine")
async def read_mine(
    request: ConsentRequest, language: Language | None = None, include: Literal["ended"] | None = None
) -> list[MineView]:
    """Return what I am asked for and what I have permitted; an open question also in another language.

    With `include=ended` also what I have refused or taken back, and what has run out.
    """
    request.require_role("guardian", "young_person")
    found = await request.query(cases_of, person_id=request.actor.id)
    return [
        view
        for row in found
        for view in mine(
            row["case"],
            row["case_id"],
            row["version"],
            person_id=request.actor.id,
            models=request.models,
            language=language,
            ended=include == "ended",
        )
    ]


@router.get("/mine/cases")
async def read_my_cases(request: ConsentRequest) -> list[MineCaseView]:
    """Return the cases about my child, or about me."""
    request.require_role("guardian", "young_person")
    found = await request.query(cases_of, person_id=request.actor.id)
    cases = (own_case(row["case"], row["case_id"], request.actor.id) for row in found)
    return [one for one in cases if one is not None]


@router.post("/cases/{case_id}/consents/{consent_id}/give")
async def give(case_id: UUID, consent_id: UUID, body: YesBody, request: ConsentRequest) -> CommandResult:
    """Say yes, or put on record that somebody has, which a second employee then confirms."""
    command = GiveConsent(consent_id, body.language, body.text_sha256, body.evidence, body.evidence_reference)
    return await request.execute(case_id, command)


@router.post("/cases/{case_id}/consents/{consent_id}/confirm")
async def confirm(
    case_id: UUID, consent_id: UUID, body: ConfirmationBody, request: ConsentRequest
) -> CommandResult:
    """Confirm, as a second employee, a yes that another one minuted."""
    return await request.execute(case_id, ConfirmConsent(consent_id, body.told_by))


@router.post("/cases/{case_id}/consents/{consent_id}/reject")
async def reject(
    case_id: UUID, consent_id: UUID, body: RejectionBody, request: ConsentRequest
) -> CommandResult:
    """Reject a minuted yes: it never counts, and the person is asked anew."""
    return await request.execute(case_id, RejectConsent(consent_id, body.reason), any_version=True)


@router.post("/cases/{case_id}/consents/{consent_id}/refuse")
async def refuse(case_id: UUID, consent_id: UUID, body: NoBody, request: ConsentRequest) -> CommandResult:
    """Say no, or put on record that somebody has."""
    return await request.execute(case_id, RefuseConsent(consent_id, body.evidence), any_version=True)


@router.post("/cases/{case_id}/consents/{consent_id}/withdraw")
async def withdraw(case_id: UUID, consent_id: UUID, body: NoBody, request: ConsentRequest) -> CommandResult:
    """Take a yes back, or put on record that somebody has; sharing stops at once."""
    return await request.execute(case_id, WithdrawConsent(consent_id, body.evidence), any_version=True)


@router.get("/cases/{case_id}/consents/{consent_id}/receipt")
async def read_receipt(case_id: UUID, consent_id: UUID, request: ConsentRequest) -> Receipt:
    """Return the receipt of one consent; the access is logged."""
    seen = await request.read_private(case_id, what=(receipt_part(consent_id),), purpose="receipt")
    case: Case = seen.state
    if consent_id not in case.consents:
        raise NotFound
    return receipt_of(
        case,
        case_id,
        consent_id,
        tenant=request.actor.tenant,
        version=seen.version,
        models=request.models,
        private=seen.private,
    )
