"""Consent over HTTP: custody is put on record, people see what they are asked, and answer."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints

from contracts.model_parts import Language
from services.consent.domain import receipt_part
from services.consent.domain_answers import GiveConsent, RefuseConsent, WithdrawConsent
from services.consent.domain_custody import NamedHolder, RecordCustody
from services.consent.domain_receipt import Receipt, receipt_of
from services.consent.domain_states import Case, Minuted
from services.consent.domain_views import CaseView, MineView, case_view, mine
from services.consent.store import cases_of
from services.kernel.errors import Missing
from services.kernel.http.fields import Day
from services.kernel.http.requests import Desk, Done, at
from services.kernel.ids import new_id

router = APIRouter(prefix="/consent", tags=["consent"])
ConsentDesk = Annotated[Desk, Depends(at("consent"))]

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class HolderBody(_Body):
    """A holder of parental responsibility; without an id, one is made."""

    person_id: UUID | None = None
    name: Name
    residence: StrictBool
    language: Language = "da"


class CustodyBody(_Body):
    """Who holds parental responsibility; the young person is named where they are asked too."""

    holders: Annotated[list[HolderBody], Field(max_length=8)]
    born: Day
    young_person_id: UUID | None = None
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
async def record_custody(case_id: UUID, body: CustodyBody, desk: ConsentDesk) -> Done:
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
    return await desk.do(case_id, command)


@router.get("/cases/{case_id}")
async def read_case(case_id: UUID, desk: ConsentDesk) -> CaseView:
    """Return a case's custody, permissions and records; the look is logged."""
    seen = await desk.look(case_id, what=("custody", "consents"), purpose="casework")
    return case_view(seen.state, case_id, seen.version, seen.private)


@router.get("/mine")
async def read_mine(desk: ConsentDesk, language: Language | None = None) -> list[MineView]:
    """Return what I am asked for and what I have permitted; an open question also in another language."""
    desk.need("guardian", "young_person")
    found = await desk.ask(cases_of, person_id=desk.actor.id)
    return [
        view
        for row in found
        for view in mine(
            row["case"],
            row["case_id"],
            row["version"],
            person_id=desk.actor.id,
            models=desk.models,
            language=language,
        )
    ]


@router.post("/cases/{case_id}/consents/{consent_id}/give")
async def give(case_id: UUID, consent_id: UUID, body: YesBody, desk: ConsentDesk) -> Done:
    """Say yes, or put on record that somebody has."""
    return await desk.do(case_id, GiveConsent(consent_id, body.language, body.text_sha256, body.evidence))


@router.post("/cases/{case_id}/consents/{consent_id}/refuse")
async def refuse(case_id: UUID, consent_id: UUID, body: NoBody, desk: ConsentDesk) -> Done:
    """Say no, or put on record that somebody has."""
    return await desk.do(case_id, RefuseConsent(consent_id, body.evidence), fresh=True)


@router.post("/cases/{case_id}/consents/{consent_id}/withdraw")
async def withdraw(case_id: UUID, consent_id: UUID, body: NoBody, desk: ConsentDesk) -> Done:
    """Take a yes back, or put on record that somebody has; sharing stops at once."""
    return await desk.do(case_id, WithdrawConsent(consent_id, body.evidence), fresh=True)


@router.get("/cases/{case_id}/consents/{consent_id}/receipt")
async def read_receipt(case_id: UUID, consent_id: UUID, desk: ConsentDesk) -> Receipt:
    """Return the receipt of one consent; the look is logged."""
    seen = await desk.look(case_id, what=(receipt_part(consent_id),), purpose="receipt")
    case: Case = seen.state
    if consent_id not in case.consents:
        raise Missing
    return receipt_of(
        case, case_id, consent_id, tenant=desk.actor.tenant, version=seen.version, models=desk.models
    )
