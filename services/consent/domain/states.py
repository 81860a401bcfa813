"""States of consent: custody of a child, one record a person, one permission a referral."""

from datetime import date, datetime
from typing import Final, Literal, get_args
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from contracts.model import CollaborationModel
from contracts.model_parts import Language

LEGAL_BASIS: Final = "gdpr_6_1_e"
"""What the municipality's processing rests on: its task. The consent lifts secrecy, it is not this basis."""

AnswerForm = Literal["oral_minuted", "paper_signed"]
"""How an answer reached a caseworker who puts it on record for somebody else."""

MINUTED: Final = frozenset(get_args(AnswerForm))

Evidence = Literal["own_sign_in", "unproved_sign_in", "oral_minuted", "paper_signed"]
"""The proof that a person answered; a sign-in that proves nothing is enough for a no."""

ToldBy = Literal["letter", "digital_post", "phone", "in_person"]
"""How a person was told that a yes was minuted for them, other than by what its minuter has typed."""

Doubt = Literal["evidence_not_found", "not_said", "not_a_holder", "other_question"]
"""Why an employee does not confirm a minuted yes."""


class Confirmation(Struct, frozen=True):
    """Which second employee has confirmed what another one put on record."""

    at: datetime
    by: UUID
    role: str
    told_by: ToldBy | None = None


class Holder(Struct, frozen=True):
    """A holder of parental responsibility: whether the child lives there, and the language they read."""

    residence: bool
    language: Language


class Custody(Struct, frozen=True):
    """Who holds parental responsibility, and who of them all must consent by the rule of `checked_on`.

    After `stale_at` it must be recorded anew before anybody is asked or can say yes.
    """

    recorded_by: UUID

    holders: dict[UUID, Holder]
    young_person_id: UUID | None
    young_person_language: Language
    must: tuple[UUID, ...]
    quorum: str
    rule: str
    checked_on: date
    recorded_at: datetime
    stale_at: datetime
    confirmed: Confirmation | None = None

    def language_of(self, person_id: UUID) -> Language:
        """Return the language in which a person is asked."""
        holder = self.holders.get(person_id)
        return self.young_person_language if holder is None else holder.language


class Answer(Struct, frozen=True):
    """Who put an answer on record, at which level of assurance, and how the answer is proved.

    A minuted answer that a second employee has confirmed says so.
    """

    at: datetime
    by: UUID
    role: str
    assurance: str
    evidence: Evidence
    confirmed: Confirmation | None = None

    @property
    def is_minuted(self) -> bool:
        """Return whether an employee put it on record for somebody else."""
        return self.evidence in MINUTED


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


class _Record(Struct, frozen=True, tag_field="status"):
    """The record of what one person was asked and has answered."""

    question: Question

    @property
    def status(self) -> str:
        """The word under which the state is stored."""
        return str(self.__struct_config__.tag)

    @property
    def yes(self) -> Answer | None:
        """The yes that was once given, if there was one."""
        return None

    @property
    def valid_until(self) -> datetime | None:
        """The end of a yes that counts."""
        return None

    @property
    def unconfirmed(self) -> Answer | None:
        """The yes that was minuted and does not count yet."""
        return None

    @property
    def confirm_until(self) -> date | None:
        """The last day on which a minuted yes is to be confirmed."""
        return None


class Requested(_Record, frozen=True, tag="requested"):
    """The person has not answered yet."""


class Minuted(_Record, frozen=True, tag="minuted"):
    """An employee has minuted a yes, which permits nothing until a second one confirms it.

    `nudged` are the steps of the escalation that have passed.
    """

    minuted: Answer
    confirm_by: date
    nudged: tuple[str, ...] = ()

    @property
    def unconfirmed(self) -> Answer:
        """The yes that does not count yet."""
        return self.minuted

    @property
    def confirm_until(self) -> date:
        """The last day on which it is to be confirmed."""
        return self.confirm_by


class Given(_Record, frozen=True, tag="given"):
    """The person has said yes, until a time."""

    given: Answer
    expires_at: datetime

    @property
    def yes(self) -> Answer:
        """The yes."""
        return self.given

    @property
    def valid_until(self) -> datetime:
        """The end of the yes."""
        return self.expires_at


class Refused(_Record, frozen=True, tag="refused"):
    """The person has said no."""

    refused: Answer


class Withdrawn(_Record, frozen=True, tag="withdrawn"):
    """The person has taken a yes back."""

    given: Answer
    withdrawn: Answer

    @property
    def yes(self) -> Answer:
        """The yes that was taken back."""
        return self.given


class Expired(_Record, frozen=True, tag="expired"):
    """The time to answer, or the time of the yes, has run out."""

    given: Answer | None
    ended_at: datetime

    @property
    def yes(self) -> Answer | None:
        """The yes that has run out."""
        return self.given


class Invalidated(_Record, frozen=True, tag="invalidated"):
    """The question or the yes no longer counts, through nothing that this person did."""

    given: Answer | None
    because: str
    ended_at: datetime

    @property
    def yes(self) -> Answer | None:
        """The yes that no longer counts."""
        return self.given


Consent = Requested | Minuted | Given | Refused | Withdrawn | Expired | Invalidated


class Scope(Struct, frozen=True):
    """Which facts may reach which organisation for which purpose, on behalf of one referral."""

    organisation_id: UUID
    purpose: str
    facts: tuple[str, ...]
    model: str
    awaited_at: datetime
    lapse_on: date
    legal_basis: str


class _Permission(Struct, frozen=True, tag_field="status"):
    """Whether the facts of one referral may reach its organisation."""

    scope: Scope

    @property
    def status(self) -> str:
        """The word under which the state is stored."""
        return str(self.__struct_config__.tag)

    @property
    def granted_until(self) -> datetime | None:
        """The end of a permission that holds."""
        return None

    @property
    def lost_because(self) -> str | None:
        """The reason for which it was lost."""
        return None


class Awaited(_Permission, frozen=True, tag="awaited"):
    """Somebody who must consent has not answered, or it is not on record who must."""


class Granted(_Permission, frozen=True, tag="granted"):
    """All who must consent have done so."""

    until: datetime

    @property
    def granted_until(self) -> datetime:
        """The end of the permission."""
        return self.until


class Lost(_Permission, frozen=True, tag="lost"):
    """The facts may not, or no longer, be shared."""

    reason: str
    lost_at: datetime

    @property
    def lost_because(self) -> str:
        """The reason."""
        return self.reason


class Over(_Permission, frozen=True, tag="over"):
    """The referral has ended by itself; there is nothing left to permit."""

    over_at: datetime


Permission = Awaited | Granted | Lost | Over


class Case(Struct, frozen=True, tag="case", tag_field="kind"):
    """All that concerns consent about one child: custody, permissions by referral, records by their id."""

    department_id: UUID | None = None
    caseworker_id: UUID | None = None
    child_id: UUID | None = None
    model: str = ""
    closed: bool = False
    custody: Custody | None = None
    permissions: dict[UUID, Permission] = {}
    consents: dict[UUID, Consent] = {}

    def consents_of(self, referral_id: UUID) -> dict[UUID, Consent]:
        """Return the records that belong to one referral, by their ids."""
        return {
            consent_id: consent
            for consent_id, consent in self.consents.items()
            if consent.question.referral_id == referral_id
        }


def name_key(person_id: UUID) -> str:
    """Return the name of the private value that holds a person's name."""
    return f"name:{person_id}"


def evidence_key(consent_id: UUID) -> str:
    """Return the name of the private value that says where the proof of a minuted yes is found."""
    return f"evidence:{consent_id}"


def born_key(case: Case, case_id: UUID) -> str:
    """Return the name of the private value that holds the child's birth date."""
    young = case.custody.young_person_id if case.custody else None
    return f"born:{young or case_id}"
