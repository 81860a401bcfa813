"""Views of consent: for a caseworker the whole case, for a person what they are asked; pure."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import Annotated, Any, Final, assert_never
from uuid import UUID

from pydantic import BaseModel

from contracts.model import CollaborationModel
from contracts.model_parts import Language, Word, by_code
from services.consent.domain.states import (
    Case,
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
    born_key,
    evidence_key,
    in_language,
    name_key,
)
from services.consent.views.receipt import shown, withdrawal_path
from services.kernel.http.fields import status_of_any

HOW_TO_STOP: Final[Mapping[Language, str]] = {
    "da": "Du kan sige stop når som helst, her på siden eller til din kontaktperson i kommunen.",
    "nb": "Du kan si stopp når som helst, her på siden eller til kontaktpersonen din i kommunen.",
    "en": "You can say stop at any time, here on this page or to your contact person in the municipality.",
}

PermissionStatus = Annotated[str, status_of_any(Permission)]
ConsentStatus = Annotated[str, status_of_any(Consent)]


class PersonView(BaseModel):
    """Somebody who may be asked; the name is missing where it was erased or never given."""

    person_id: UUID
    name: str | None
    language: Language
    must: bool
    residence: bool | None = None


class CustodyView(BaseModel):
    """Who holds parental responsibility, and by which rule they are asked."""

    holders: list[PersonView]
    young_person: PersonView | None
    born: date | None
    quorum: str
    rule: str
    recorded_at: datetime
    recorded_by: UUID
    confirmed_at: datetime | None
    confirmed_by: UUID | None
    stale_at: datetime


class PermissionView(BaseModel):
    """What may reach an organisation on behalf of one referral, or why not."""

    referral_id: UUID
    status: PermissionStatus
    organisation_id: UUID
    purpose: str
    facts: list[str]
    lapse_on: date
    until: datetime | None
    reason: str | None


class ConsentView(BaseModel):
    """One person's record; a minuted yes says where its evidence is found, and who has confirmed it."""

    consent_id: UUID
    referral_id: UUID
    person_id: UUID
    status: ConsentStatus
    language: Language
    requested_at: datetime
    given_at: datetime | None
    evidence: str | None
    evidence_reference: str | None
    minuted_by: UUID | None
    confirm_by: date | None
    confirmed_by: UUID | None
    told_by: str | None
    expires_at: datetime | None


class CaseView(BaseModel):
    """A case as its caseworker sees it."""

    case_id: UUID
    version: int
    department_id: UUID | None
    caseworker_id: UUID | None
    model: str
    closed: bool
    custody: CustodyView | None
    permissions: list[PermissionView]
    consents: list[ConsentView]


class WordView(BaseModel):
    """A code, and what a person reads for it."""

    code: str
    text: str


class MineCaseView(BaseModel):
    """A case about my child, or about me."""

    case_id: UUID
    since: datetime
    closed: bool


class MineView(BaseModel):
    """One thing that I am asked for, or have permitted."""

    case_id: UUID
    version: int
    consent_id: UUID
    referral_id: UUID
    status: ConsentStatus
    organisation_id: UUID
    purpose: WordView
    facts: list[WordView]
    language: Language
    text_id: str
    text_sha256: str
    text: str | None
    months: int
    answer_by: date | None
    expires_at: datetime | None
    ended_at: datetime | None
    how_to_stop: str
    withdraw: str


def case_view(case: Case, case_id: UUID, version: int, private: Mapping[str, Any]) -> CaseView:
    """Return a case as its caseworker sees it, with names."""
    return CaseView(
        case_id=case_id,
        version=version,
        department_id=case.department_id,
        caseworker_id=case.caseworker_id,
        model=case.model,
        closed=case.closed,
        custody=_custody_view(case, case_id, private),
        permissions=[_permission_view(at, permission) for at, permission in case.permissions.items()],
        consents=[_consent_view(at, consent, private) for at, consent in case.consents.items()],
    )


def mine(
    case: Case,
    case_id: UUID,
    version: int,
    *,
    person_id: UUID,
    models: Mapping[str, CollaborationModel],
    language: Language | None,
    ended: bool = False,
) -> Iterator[MineView]:
    """Return what a person is asked for and has permitted in one case, and nothing about anybody else.

    An open question can be read in any language; what was given stays in the words that it was given to.
    With `ended` also what was refused, taken back or has run out.
    """
    for consent_id, consent in case.consents.items():
        question = consent.question
        model = models.get(case.permissions[question.referral_id].scope.model)
        if question.person_id != person_id or model is None:
            continue
        match consent:
            case Requested():
                if language is not None:
                    question = in_language(question, language, model)
            case Minuted() | Given():
                pass
            case Refused() | Withdrawn() | Expired() | Invalidated():
                if not ended:
                    continue
            case _:
                assert_never(consent)
        yield _mine_view(case, case_id, version, consent_id, consent, question, model)


def own_case(case: Case, case_id: UUID, person_id: UUID) -> MineCaseView | None:
    """Return a case as one of a person's own; None where it is not about their child, or them."""
    custody = case.custody
    if custody is None or person_id not in {*custody.holders, custody.young_person_id}:
        return None
    return MineCaseView(case_id=case_id, since=custody.recorded_at, closed=case.closed)


def _ended_at(consent: Consent) -> datetime | None:
    match consent:
        case Requested() | Minuted() | Given():
            return None
        case Refused():
            return consent.refused.at
        case Withdrawn():
            return consent.withdrawn.at
        case Expired() | Invalidated():
            return consent.ended_at
        case _:
            assert_never(consent)


def _mine_view(
    case: Case,
    case_id: UUID,
    version: int,
    consent_id: UUID,
    consent: Consent,
    question: Question,
    model: CollaborationModel,
) -> MineView:
    scope, read = case.permissions[question.referral_id].scope, question.language
    return MineView(
        case_id=case_id,
        version=version,
        consent_id=consent_id,
        referral_id=question.referral_id,
        status=consent.status,
        organisation_id=scope.organisation_id,
        purpose=_word(model.purposes, scope.purpose, read),
        facts=[_word(model.facts, code, read) for code in scope.facts],
        language=read,
        text_id=question.text_id,
        text_sha256=question.text_sha256,
        text=shown(model, question),
        months=model.consent.months,
        # an open question has a last day, a yes an end
        answer_by=scope.lapse_on if consent.valid_until is None else None,
        expires_at=consent.valid_until,
        ended_at=_ended_at(consent),
        how_to_stop=HOW_TO_STOP[read],
        withdraw=withdrawal_path(case_id, consent_id),
    )


def _word(words: Iterable[Word], code: str, language: Language) -> WordView:
    word = by_code(words, code)
    return WordView(code=code, text=code if word is None else word.text.said_in(language))


def _custody_view(case: Case, case_id: UUID, private: Mapping[str, str]) -> CustodyView | None:
    custody = case.custody
    if custody is None:
        return None
    holders = [
        PersonView(
            person_id=person_id,
            name=private.get(name_key(person_id)),
            language=holder.language,
            must=person_id in custody.must,
            residence=holder.residence,
        )
        for person_id, holder in custody.holders.items()
    ]
    young = custody.young_person_id
    young_person = (
        None
        if young is None
        else PersonView(
            person_id=young,
            name=private.get(name_key(young)),
            language=custody.young_person_language,
            must=young in custody.must,
        )
    )
    born = private.get(born_key(case, case_id))
    return CustodyView(
        holders=holders,
        young_person=young_person,
        born=None if born is None else date.fromisoformat(born),
        quorum=custody.quorum,
        rule=custody.rule,
        recorded_at=custody.recorded_at,
        recorded_by=custody.recorded_by,
        confirmed_at=custody.confirmed.at if custody.confirmed else None,
        confirmed_by=custody.confirmed.by if custody.confirmed else None,
        stale_at=custody.stale_at,
    )


def _permission_view(referral_id: UUID, permission: Permission) -> PermissionView:
    scope = permission.scope
    return PermissionView(
        referral_id=referral_id,
        status=permission.status,
        organisation_id=scope.organisation_id,
        purpose=scope.purpose,
        facts=list(scope.facts),
        lapse_on=scope.lapse_on,
        until=permission.granted_until,
        reason=permission.lost_because,
    )


def _consent_view(consent_id: UUID, consent: Consent, private: Mapping[str, Any]) -> ConsentView:
    question, yes = consent.question, consent.yes
    answer = consent.unconfirmed or yes
    confirmed = answer.confirmed if answer else None
    is_minuted = answer is not None and answer.is_minuted
    return ConsentView(
        consent_id=consent_id,
        referral_id=question.referral_id,
        person_id=question.person_id,
        status=consent.status,
        language=question.language,
        requested_at=question.requested_at,
        given_at=yes.at if yes else None,
        evidence=answer.evidence if answer else None,
        evidence_reference=private.get(evidence_key(consent_id)) if is_minuted else None,
        minuted_by=answer.by if answer and is_minuted else None,
        confirm_by=consent.confirm_until,
        confirmed_by=confirmed.by if confirmed else None,
        told_by=confirmed.told_by if confirmed else None,
        expires_at=consent.valid_until,
    )
