"""Commands of consent: custody is put on record, and a person's answer, by themselves or a caseworker."""

from datetime import date
from uuid import UUID

from msgspec import Struct

from contracts.model_parts import Language
from services.consent.domain.states import Minuted


class NamedHolder(Struct, frozen=True):
    """A holder of parental responsibility as the caseworker puts them on record."""

    person_id: UUID
    name: str
    residence: bool
    language: Language


class RecordCustody(Struct, frozen=True):
    """Put on record who holds parental responsibility, or confirm it anew."""

    holders: tuple[NamedHolder, ...]
    born: date
    young_person_id: UUID | None = None
    young_person_name: str = ""
    young_person_language: Language = "da"


class GiveConsent(Struct, frozen=True):
    """Say yes to what was asked, having read the text with this fingerprint."""

    consent_id: UUID
    language: Language
    text_sha256: str
    evidence: Minuted | None = None


class RefuseConsent(Struct, frozen=True):
    """Say no to what was asked."""

    consent_id: UUID
    evidence: Minuted | None = None


class WithdrawConsent(Struct, frozen=True):
    """Take a yes back."""

    consent_id: UUID
    evidence: Minuted | None = None


Answering = GiveConsent | RefuseConsent | WithdrawConsent
No = RefuseConsent | WithdrawConsent
Command = RecordCustody | Answering
