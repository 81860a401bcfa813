"""Commands of consent: custody is put on record, and a person's answer, by themselves or a caseworker."""

from datetime import date
from uuid import UUID

from msgspec import Struct

from contracts.model_parts import Language
from services.consent.domain.states import AnswerForm, Doubt, ToldBy


class NamedHolder(Struct, frozen=True):
    """A holder of parental responsibility as the caseworker puts them on record."""

    person_id: UUID
    name: str
    residence: bool
    language: Language


class RecordCustody(Struct, frozen=True):
    """Put on record who holds parental responsibility, or confirm it anew.

    `unknown` are the ids in it that this municipality was never given. A young person who is named without
    an id is the child of the case, or somebody new under `new_id`.
    """

    holders: tuple[NamedHolder, ...]
    born: date
    young_person_id: UUID | None = None
    young_person_name: str = ""
    young_person_language: Language = "da"
    new_id: UUID | None = None
    unknown: frozenset[UUID] = frozenset()


class ConfirmCustody(Struct, frozen=True):
    """Confirm, as a second employee, who holds parental responsibility."""


class GiveConsent(Struct, frozen=True):
    """Say yes to what was asked, having read the text with this fingerprint.

    An employee who minutes it says where the `evidence` is found: a file number, or what was said and when.
    """

    consent_id: UUID
    language: Language
    text_sha256: str
    evidence: AnswerForm | None = None
    reference: str = ""


class RefuseConsent(Struct, frozen=True):
    """Say no to what was asked."""

    consent_id: UUID
    evidence: AnswerForm | None = None


class WithdrawConsent(Struct, frozen=True):
    """Take a yes back."""

    consent_id: UUID
    evidence: AnswerForm | None = None


class ConfirmConsent(Struct, frozen=True):
    """Confirm, as a second employee, a yes that another one minuted; the person was told of it."""

    consent_id: UUID
    told_by: ToldBy


class RejectConsent(Struct, frozen=True):
    """Reject a minuted yes, with the reason: the person is asked anew."""

    consent_id: UUID
    reason: Doubt


Answering = GiveConsent | RefuseConsent | WithdrawConsent
No = RefuseConsent | WithdrawConsent
Confirming = ConfirmCustody | ConfirmConsent | RejectConsent
Command = RecordCustody | Answering | Confirming
