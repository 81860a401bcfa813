"""What is remembered of a case: who must consent, what was asked for, and what each person answered."""

from datetime import date, datetime
from typing import Final, Literal
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from contracts.model import CollaborationModel
from contracts.model_parts import Language

LEGAL_BASIS: Final = "gdpr_6_1_e"
"""What the municipality's processing rests on: its task. The consent lifts secrecy, it is not this basis."""

Minuted = Literal["oral_minuted", "paper_signed"]
"""How an answer reached a caseworker who puts it on record for somebody else."""

Evidence = Literal["own_sign_in", "oral_minuted", "paper_signed"]
"""How it is known that a person answered."""


class Holder(Struct, frozen=True):
    """A holder of parental responsibility: whether the child lives there, and the language they read."""

    residence: bool
    language: Language


class Custody(Struct, frozen=True):
    """Who holds parental responsibility, and who of them all must consent by the rule of `checked_on`.

    After `stale_at` it must be recorded anew before anybody is asked or heard.
    """

    holders: dict[UUID, Holder]
    young_person_id: UUID | None
    young_person_language: Language
    must: tuple[UUID, ...]
    quorum: str
    rule: str
    checked_on: date
    recorded_at: datetime
    stale_at: datetime

    def language_of(self, person_id: UUID) -> Language:
        """Return the language in which a person is asked."""
        holder = self.holders.get(person_id)
        return self.young_person_language if holder is None else holder.language


class Answer(Struct, frozen=True):
    """Who put an answer on record, how surely that person was known, and how the answer is proved."""

    at: datetime
    by: UUID
    role: str
    assurance: str
    evidence: Evidence


class Question(Struct, frozen=True):
    """What one person was asked for a referral, and by which rule; the words are frozen by their sha256."""

    referral_id: UUID
    person_id: UUID
    quorum: str
    rule: str
    text_id: str
    text_sha256: str
    language: Language
    requested_at: datetime


def in_language(question: Question, language: Language, model: CollaborationModel) -> Question:
    """Return a question as it reads in a language; one that the model does not word stays as it is."""
    text = next((text for text in model.consent.texts if text.id == question.text_id), None)
    if text is None or language == question.language:
        return question
    return replace(question, language=language, text_sha256=text.sha256(language))


class Requested(Struct, frozen=True, tag="requested", tag_field="status"):
    """The person has not answered yet."""

    question: Question


class Given(Struct, frozen=True, tag="given", tag_field="status"):
    """The person has said yes, until a time."""

    question: Question
    given: Answer
    expires_at: datetime


class Refused(Struct, frozen=True, tag="refused", tag_field="status"):
    """The person has said no."""

    question: Question
    refused: Answer


class Withdrawn(Struct, frozen=True, tag="withdrawn", tag_field="status"):
    """The person has taken a yes back."""

    question: Question
    given: Answer
    withdrawn: Answer


class Expired(Struct, frozen=True, tag="expired", tag_field="status"):
    """The time to answer, or the time of the yes, has run out."""

    question: Question
    given: Answer | None
    ended_at: datetime


class Invalidated(Struct, frozen=True, tag="invalidated", tag_field="status"):
    """The question or the yes no longer counts, through nothing that this person did."""

    question: Question
    given: Answer | None
    because: str
    ended_at: datetime


Consent = Requested | Given | Refused | Withdrawn | Expired | Invalidated


class Scope(Struct, frozen=True):
    """Which facts may reach which organisation for which purpose, on behalf of one referral."""

    organisation_id: UUID
    purpose: str
    facts: tuple[str, ...]
    model: str
    awaited_at: datetime
    lapse_on: date
    legal_basis: str


class Awaited(Struct, frozen=True, tag="awaited", tag_field="status"):
    """Somebody who must consent has not answered, or nobody knows yet who must."""

    scope: Scope


class Granted(Struct, frozen=True, tag="granted", tag_field="status"):
    """All who must consent have done so."""

    scope: Scope
    until: datetime


class Lost(Struct, frozen=True, tag="lost", tag_field="status"):
    """The facts may not, or no longer, be shared."""

    scope: Scope
    reason: str
    lost_at: datetime


class Over(Struct, frozen=True, tag="over", tag_field="status"):
    """The referral has ended by itself; there is nothing left to permit."""

    scope: Scope
    over_at: datetime


Permission = Awaited | Granted | Lost | Over


def status_of(value: Consent | Permission) -> str:
    """Return the word for where a record or a permission stands, as it is stored."""
    return str(value.__struct_config__.tag)


class Case(Struct, frozen=True, tag="case", tag_field="kind"):
    """All that concerns consent about one child: custody, permissions by referral, records by their id."""

    department_id: UUID | None = None
    caseworker_id: UUID | None = None
    model: str = ""
    closed: bool = False
    custody: Custody | None = None
    permissions: dict[UUID, Permission] = {}
    consents: dict[UUID, Consent] = {}
