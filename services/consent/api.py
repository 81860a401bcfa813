"""Consent over HTTP: custody is put on record, people see what they are asked, and answer."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints

from contracts.model_parts import Language
from services.consent.domain.access import receipt_part
from services.consent.domain.commands import (
    GiveConsent,
    NamedHolder,
    RecordCustody,
    RefuseConsent,
    WithdrawConsent,
)
from services.consent.domain.states import Case, Minuted
from services.consent.projections import cases_of
from services.consent.views.cases import CaseView, MineView, case_view, mine
from services.consent.views.receipt import Receipt, receipt_of
from services.kernel.errors import NotFound
from services.kernel.http.fields import Day, GivenId
from services.kernel.http.requests import CommandResult, RequestContext, request_context
from services.kernel.ids import new_id

router = APIRouter(prefix="/consent", tags=["consent"])
ConsentRequest = Annotated[RequestContext, Depends(request_context("consent"))]

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class HolderBody(_Body):
    """A holder of parental responsibility; without an id, one is made."""

    person_id: GivenId | None = None
    name: Name
    residence: StrictBool
    language: Language = "da"


class CustodyBody(_Body):
    """Who holds parental responsibility; the young person is named where they are asked too."""

    holders: Annotated[list[HolderBody], Field(max_length=8)]
    born: Day
    young_person_id: GivenId | None = None
    young_person_name: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] = ""
    young_person_language: Language = "da"


class YesBody(_Body):
    """A yes to the text with this fingerprint; a caseworker adds how it was given."""

    language: Language
    text_sha256: Sha256
    evidence: Minuted | None = None


class NoBody(_Body):
    """A no; a caseworker may add how it was given."""

    evidence: Minuted | None = None


@router.post("/cases/{case_id}/custody")
async def record_custody(case_id: UUID, body: CustodyBody, request: ConsentRequest) -> CommandResult:
    """Put on record who holds parental responsibility, or confirm it anew."""
    command = RecordCustody(
        holders=tuple(
            NamedHolder(holder.person_id or new_id(), holder.name, holder.residence, holder.language)
            for holder in body.holders
        ),
        born=body.born,
        young_person_id=body.young_person_id,
        young_person_name=body.young_person_name,
        young_person_language=body.young_person_language,
    )
    return await request.execute(case_id, command)


@router.get("/cases/{case_id}")
async def read_case(case_id: UUID, request: ConsentRequest) -> CaseView:
    """Return a case's custody, permissions and records; the access is logged."""
    seen = await request.read_private(case_id, what=("custody", "consents"), purpose="casework")
    return case_view(seen.state, case_id, seen.version, seen.private)


@router.get("/mine")
async def read_mine(request: ConsentRequest, language: Language | None = None) -> list[MineView]:
    """Return what I am asked for and what I have permitted; an open question also in another language."""
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
        )
    ]


@router.post("/cases/{case_id}/consents/{consent_id}/give")
async def give(case_id: UUID, consent_id: UUID, body: YesBody, request: ConsentRequest) -> CommandResult:
    """Say yes, or put on record that somebody has."""
    return await request.execute(
        case_id, GiveConsent(consent_id, body.language, body.text_sha256, body.evidence)
    )


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
        case, case_id, consent_id, tenant=request.actor.tenant, version=seen.version, models=request.models
    )
