"""View of what waits for a second employee of the department, and nothing else of the case; pure."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from services.consent.domain.states import Answer, Case, Consent, evidence_key, name_key


class NamedView(BaseModel):
    """Somebody who was put on record; the name is missing where it was erased or never given."""

    person_id: UUID
    name: str | None


class CustodyToConfirmView(BaseModel):
    """Who holds parental responsibility, as one employee has recorded it."""

    holders: list[NamedView]
    young_person: NamedView | None
    recorded_by: UUID
    recorded_at: datetime


class ConsentToConfirmView(BaseModel):
    """A yes that one employee has minuted, and where its evidence is found."""

    consent_id: UUID
    person: NamedView
    organisation_id: UUID
    purpose: str
    facts: list[str]
    evidence: str
    evidence_reference: str | None
    minuted_by: UUID
    minuted_at: datetime
    confirm_by: date | None


class ToConfirmView(BaseModel):
    """What a second employee is to confirm; custody is shown until one has."""

    case_id: UUID
    version: int
    custody: CustodyToConfirmView | None
    consents: list[ConsentToConfirmView]


def to_confirm(case: Case, case_id: UUID, version: int, private: Mapping[str, Any]) -> ToConfirmView:
    """Return what waits for a second employee in a case."""
    return ToConfirmView(
        case_id=case_id,
        version=version,
        custody=_custody(case, private),
        consents=[
            _consent(case, consent_id, consent, consent.unconfirmed, private)
            for consent_id, consent in case.consents.items()
            if consent.unconfirmed is not None
        ],
    )


def _custody(case: Case, private: Mapping[str, Any]) -> CustodyToConfirmView | None:
    custody = case.custody
    if custody is None or custody.confirmed is not None:
        return None
    young = custody.young_person_id
    return CustodyToConfirmView(
        holders=[_named(person_id, private) for person_id in custody.holders],
        young_person=None if young is None else _named(young, private),
        recorded_by=custody.recorded_by,
        recorded_at=custody.recorded_at,
    )


def _consent(
    case: Case, consent_id: UUID, consent: Consent, minuted: Answer, private: Mapping[str, Any]
) -> ConsentToConfirmView:
    scope = case.permissions[consent.question.referral_id].scope
    return ConsentToConfirmView(
        consent_id=consent_id,
        person=_named(consent.question.person_id, private),
        organisation_id=scope.organisation_id,
        purpose=scope.purpose,
        facts=list(scope.facts),
        evidence=minuted.evidence,
        evidence_reference=private.get(evidence_key(consent_id)),
        minuted_by=minuted.by,
        minuted_at=minuted.at,
        confirm_by=consent.confirm_until,
    )


def _named(person_id: UUID, private: Mapping[str, Any]) -> NamedView:
    return NamedView(person_id=person_id, name=private.get(name_key(person_id)))
