"""The receipt of one consent, in the field names of ISO/IEC TS 27560:2023, and what is ours besides."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, assert_never
from uuid import UUID

from pydantic import BaseModel

from contracts.model import CollaborationModel
from contracts.model_parts import by_code
from services.consent.domain.refusals import ModelMissing
from services.consent.domain.states import (
    Answer,
    Case,
    Confirmation,
    Consent,
    Expired,
    Given,
    Invalidated,
    Minuted,
    Permission,
    Question,
    Refused,
    Requested,
    Withdrawn,
    evidence_key,
)

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
SCHEMA_VERSION: Final = "ISO/IEC TS 27560:2023"


class PiiInformation(BaseModel):
    """One kind of fact that may be shared."""

    pii_type: str
    pii_optional: bool


class Purpose(BaseModel):
    """What the facts are for, whom they reach, for how long, and how to stop it."""

    purpose: str
    lawful_basis: str
    pii_information: list[PiiInformation]
    pii_controllers: list[str]
    recipient_third_parties: list[str]
    storage_locations: list[str]
    retention_period: str
    jurisdiction: str
    withdrawal_method: str


class Processing(BaseModel):
    """What the person could read before they answered."""

    privacy_notice: str
    language: str
    purposes: list[Purpose]


class Party(BaseModel):
    """One who takes part, by a random id or an official code."""

    party_id: str
    party_role: str


class ReceiptEvent(BaseModel):
    """One thing that happened to the consent; `entity_id` is who put it on record."""

    event_time: datetime
    event_type: str
    event_state: str
    entity_id: UUID | None
    assurance: str | None = None
    evidence: str | None = None
    told_by: str | None = None
    validity_duration: str | None = None


class Receipt(BaseModel):
    """A consent as the person who was asked may keep it."""

    schema_version: str
    record_id: UUID
    pii_principal_id: UUID
    pii_processing: Processing
    party_identification: list[Party]
    events: list[ReceiptEvent]
    state: str
    not_before: datetime | None
    expires: datetime | None
    text_id: str
    text_sha256: str
    text: str | None
    quorum: str
    rule: str
    model: str
    referral_id: UUID
    version: int
    evidence_reference: str | None = None


def receipt_of(
    case: Case,
    case_id: UUID,
    consent_id: UUID,
    *,
    tenant: str,
    version: int,
    models: Mapping[str, CollaborationModel],
    private: Mapping[str, Any] = NOTHING,
) -> Receipt:
    """Return the receipt of one consent; raise `ModelMissing` where its model is not installed."""
    consent = case.consents[consent_id]
    question = consent.question
    permission = case.permissions[question.referral_id]
    model = models.get(permission.scope.model)
    if model is None:
        raise ModelMissing(permission.scope.model)
    child = (case.custody.young_person_id if case.custody else None) or case_id
    path = withdrawal_path(case_id, consent_id)
    yes = consent.yes
    answer = consent.unconfirmed or yes
    return Receipt(
        schema_version=SCHEMA_VERSION,
        record_id=consent_id,
        pii_principal_id=child,
        pii_processing=Processing(
            privacy_notice=question.text_id,
            language=question.language,
            purposes=[_purpose(permission, model, tenant, path)],
        ),
        party_identification=_parties(permission, question, tenant, child),
        events=list(_events(consent, model)),
        state=consent.status,
        not_before=yes.at if yes else None,
        expires=consent.valid_until,
        text_id=question.text_id,
        text_sha256=question.text_sha256,
        text=shown(model, question),
        quorum=question.quorum,
        rule=question.rule,
        model=permission.scope.model,
        referral_id=question.referral_id,
        version=version,
        evidence_reference=private.get(evidence_key(consent_id)) if answer and answer.is_minuted else None,
    )


def shown(model: CollaborationModel, question: Question) -> str | None:
    """Return the words that were shown; nothing where the model's words are not those any more."""
    for text in model.consent.texts:
        if text.id == question.text_id and text.sha256(question.language) == question.text_sha256:
            return text.text.said_in(question.language)
    return None


def withdrawal_path(case_id: UUID, consent_id: UUID) -> str:
    """Return where a yes is taken back."""
    return f"/consent/cases/{case_id}/consents/{consent_id}/withdraw"


def _purpose(permission: Permission, model: CollaborationModel, tenant: str, path: str) -> Purpose:
    scope = permission.scope
    facts = {code: by_code(model.facts, code) for code in scope.facts}
    return Purpose(
        purpose=scope.purpose,
        lawful_basis=scope.legal_basis,
        pii_information=[
            PiiInformation(pii_type=code, pii_optional=fact is None or not fact.always)
            for code, fact in facts.items()
        ],
        pii_controllers=[tenant],
        recipient_third_parties=[str(scope.organisation_id)],
        storage_locations=[model.country],
        retention_period=f"P{model.consent.months}M",
        jurisdiction=model.country,
        withdrawal_method=path,
    )


def _parties(permission: Permission, question: Question, tenant: str, child: UUID) -> list[Party]:
    return [
        Party(party_id=str(child), party_role="pii_principal"),
        Party(party_id=str(question.person_id), party_role="asserting_person"),
        Party(party_id=tenant, party_role="pii_controller"),
        Party(party_id=str(permission.scope.organisation_id), party_role="recipient"),
    ]


def _events(consent: Consent, model: CollaborationModel) -> Iterator[ReceiptEvent]:
    """Return what happened, oldest first."""
    yield _event("requested", consent.question.requested_at)
    yes, validity = consent.yes, f"P{model.consent.months}M"
    if yes is not None and yes.confirmed is not None:
        yield _answered("minuted", yes)
        yield _confirmed(yes.confirmed, validity)
    elif yes is not None:
        yield _answered("given", yes, validity)
    match consent:
        case Requested() | Given():
            return
        case Minuted():
            yield _answered("minuted", consent.minuted)
        case Refused():
            yield _answered("refused", consent.refused)
        case Withdrawn():
            yield _answered("withdrawn", consent.withdrawn)
        case Expired() | Invalidated():
            yield _event(consent.status, consent.ended_at)
        case _:
            assert_never(consent)


def _event(state: str, at: datetime) -> ReceiptEvent:
    return ReceiptEvent(event_time=at, event_type="system", event_state=state, entity_id=None)


def _confirmed(by: Confirmation, validity: str) -> ReceiptEvent:
    return ReceiptEvent(
        event_time=by.at,
        event_type="explicit",
        event_state="given",
        entity_id=by.by,
        told_by=by.told_by,
        validity_duration=validity,
    )


def _answered(state: str, answer: Answer, validity: str | None = None) -> ReceiptEvent:
    return ReceiptEvent(
        event_time=answer.at,
        event_type="explicit",
        event_state=state,
        entity_id=answer.by,
        assurance=answer.assurance,
        evidence=answer.evidence,
        validity_duration=validity,
    )
