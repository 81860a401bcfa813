"""Sample data for the consent service: one child, two holders of parental responsibility, two referrals."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from contracts.event import Event
from contracts.model import CollaborationModel, load_models, model_folder
from contracts.model_parts import Language
from contracts.referral import CaseClosed, CaseOpened, ConsentAwaited, ReferralDeclined, ReferralRecalled
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
from services.consent.domain.states import AnswerForm, Case, Custody, Doubt, Permission
from services.kernel.decider.decision import Actor, Context, TimerFired
from services.kernel.decider.derived_ids import derived_id
from tests.invariants import Step

TENANT = "0440"
CASE = UUID("0198d000-0000-7000-8000-000000000001")
CASEWORKER = UUID("0198d000-0000-7000-8000-000000000002")
DEPARTMENT = UUID("0198d000-0000-7000-8000-000000000003")
MOTHER = UUID("0198d000-0000-7000-8000-000000000004")
FATHER = UUID("0198d000-0000-7000-8000-000000000005")
YOUNG_PERSON = UUID("0198d000-0000-7000-8000-000000000006")
STRANGER = UUID("0198d000-0000-7000-8000-000000000007")
REFERRAL = UUID("0198d000-0000-7000-8000-000000000010")
OTHER_REFERRAL = UUID("0198d000-0000-7000-8000-000000000011")
ORGANISATION = UUID("0198d000-0000-7000-8000-000000000012")
OTHER_ORGANISATION = UUID("0198d000-0000-7000-8000-000000000013")
COLLEAGUE = UUID("0198d000-0000-7000-8000-000000000014")
CHILD = UUID("0198d000-0000-7000-8000-000000000015")
MADE = UUID("0198d000-0000-7000-8000-000000000016")

OPENED_AT = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
AWAITED_AT = datetime(2026, 3, 3, 9, 0, tzinfo=UTC)
RECORDED_AT = datetime(2026, 3, 3, 10, 0, tzinfo=UTC)
ANSWERED_AT = datetime(2026, 3, 5, 19, 30, tzinfo=UTC)
LATER = datetime(2026, 3, 9, 7, 15, tzinfo=UTC)
LAPSE_ON = date(2026, 3, 31)
BORN = date(2016, 5, 10)
FIFTEEN = date(2011, 2, 20)
GROWN_UP = date(2008, 3, 1)
FIFTEEN_SOON = date(2011, 3, 10)
EIGHTEEN_SOON = date(2008, 3, 10)
BIRTHS = (BORN, FIFTEEN, GROWN_UP, FIFTEEN_SOON, EIGHTEEN_SOON)
BIRTHDAY = datetime(2026, 3, 9, 23, 0, tzinfo=UTC)
"""The minute in which the tenth of March begins in Denmark."""

MODELS: Mapping[str, CollaborationModel] = load_models(model_folder())
MODEL = MODELS["kerteminde/1"]

MOTHERS_NAME = "Prøvemor Eksempelsen"
FATHERS_NAME = "Prøvefar Eksempelsen"
CHILDS_NAME = "Prøvebarn Eksempelsen"
FOUND_AT = "Sag 26/1234, dokument 7"


def a_caseworker(department_id: UUID | None = DEPARTMENT) -> Actor:
    """Return the caseworker of the case."""
    return Actor(CASEWORKER, "caseworker", TENANT, None, department_id, "high")


def a_colleague(role: str = "caseworker", person_id: UUID = COLLEAGUE) -> Actor:
    """Return another employee of the case's department."""
    return Actor(person_id, role, TENANT, None, DEPARTMENT, "high")


def a_guardian(person_id: UUID = MOTHER) -> Actor:
    """Return a holder of parental responsibility who has signed in."""
    return Actor(person_id, "guardian", TENANT, assurance="high")


def the_young_person() -> Actor:
    """Return the young person, signed in."""
    return Actor(YOUNG_PERSON, "young_person", TENANT, assurance="high")


def a_context(
    now: datetime = ANSWERED_AT,
    actor: Actor | None = None,
    *,
    private: Mapping[str, Any] | None = None,
    models: Mapping[str, CollaborationModel] = MODELS,
) -> Context:
    """Return what a rule may use at a time."""
    return Context(now, CASE, TENANT, actor or a_guardian(), models, {}, private or {})


def a_case_opened() -> CaseOpened:
    """Return that a caseworker follows the child under Kerteminde's model."""
    return CaseOpened(
        department_id=DEPARTMENT,
        caseworker_id=CASEWORKER,
        model="kerteminde",
        model_version=1,
        child_id=CHILD,
    )


def a_consent_awaited(
    referral_id: UUID = REFERRAL, organisation_id: UUID = ORGANISATION, awaited_at: datetime = AWAITED_AT
) -> ConsentAwaited:
    """Return that a referral waits for consent."""
    return ConsentAwaited(
        referral_id=referral_id,
        organisation_id=organisation_id,
        purpose="networks",
        facts=("first_name", "need"),
        model="kerteminde",
        model_version=1,
        awaited_at=awaited_at,
        remind_on=date(2026, 3, 10),
        lapse_on=LAPSE_ON,
    )


def a_recall(referral_id: UUID = REFERRAL) -> ReferralRecalled:
    """Return that the municipality has taken a referral back."""
    return ReferralRecalled(
        referral_id=referral_id,
        organisation_id=ORGANISATION,
        reason="need_changed",
        delete_by=date(2026, 3, 16),
    )


def a_decline(referral_id: UUID = REFERRAL) -> ReferralDeclined:
    """Return that the organisation cannot take the case."""
    return ReferralDeclined(referral_id=referral_id, organisation_id=ORGANISATION, reason="no_places")


def the_mother(*, residence: bool = True, language: Language = "da") -> NamedHolder:
    """Return the mother as she is put on record."""
    return NamedHolder(MOTHER, MOTHERS_NAME, residence, language)


def the_father(*, residence: bool = False, language: Language = "nb") -> NamedHolder:
    """Return the father as he is put on record; he reads Norwegian."""
    return NamedHolder(FATHER, FATHERS_NAME, residence, language)


def custody(
    *holders: NamedHolder, born: date = BORN, young_person_id: UUID | None = None, name: str | None = None
) -> RecordCustody:
    """Return the command that puts custody on record; by default both parents hold it.

    The young person is named where there is an id or a name of theirs.
    """
    named = (CHILDS_NAME if young_person_id else "") if name is None else name
    return RecordCustody(holders or (the_mother(), the_father()), born, young_person_id, named, new_id=MADE)


def consent_id(person_id: UUID = MOTHER, referral_id: UUID = REFERRAL) -> UUID:
    """Return the id of what one person is asked for one referral."""
    return derived_id(referral_id, str(person_id))


def sha256_of(audience: str = "guardian", language: Language = "da") -> str:
    """Return the fingerprint of the model's text for an audience."""
    return next(text for text in MODEL.consent.texts if text.audience == audience).sha256(language)


def a_yes(
    person_id: UUID = MOTHER,
    referral_id: UUID = REFERRAL,
    *,
    language: Language | None = None,
    sha256: str | None = None,
    evidence: AnswerForm | None = None,
    reference: str | None = None,
) -> GiveConsent:
    """Return a yes to the text in the language that the person reads."""
    read = language or ("nb" if person_id == FATHER else "da")
    audience = "young_person" if person_id == YOUNG_PERSON else "guardian"
    shown = sha256 or sha256_of(audience, read)
    found_at = (FOUND_AT if evidence else "") if reference is None else reference
    return GiveConsent(consent_id(person_id, referral_id), read, shown, evidence, found_at)


def a_confirmation(person_id: UUID = MOTHER, referral_id: UUID = REFERRAL) -> ConfirmConsent:
    """Return that a second employee confirms a minuted yes, of which the person was told by letter."""
    return ConfirmConsent(consent_id(person_id, referral_id), "letter")


def a_rejection(person_id: UUID = MOTHER, reason: Doubt = "not_said") -> RejectConsent:
    """Return that a second employee doubts a minuted yes."""
    return RejectConsent(consent_id(person_id), reason)


def a_no(person_id: UUID = MOTHER, referral_id: UUID = REFERRAL) -> RefuseConsent:
    """Return a no."""
    return RefuseConsent(consent_id(person_id, referral_id))


def a_withdrawal(
    person_id: UUID = MOTHER, referral_id: UUID = REFERRAL, evidence: AnswerForm | None = None
) -> WithdrawConsent:
    """Return that a yes is taken back."""
    return WithdrawConsent(consent_id(person_id, referral_id), evidence)


def a_lapse(referral_id: UUID = REFERRAL) -> TimerFired:
    """Return that the time to answer is over."""
    return TimerFired("lapse", referral_id, datetime(2026, 3, 31, 4, 0, tzinfo=UTC))


def an_expiry(person_id: UUID = MOTHER) -> TimerFired:
    """Return that the time of a yes is over."""
    return TimerFired("expiry", consent_id(person_id), datetime(2027, 3, 5, 19, 30, tzinfo=UTC))


def an_unconfirmed_end(person_id: UUID = MOTHER) -> TimerFired:
    """Return that the time to confirm a minuted yes is over."""
    return TimerFired("confirm:automatic", consent_id(person_id), datetime(2026, 3, 24, 5, 0, tzinfo=UTC))


def a_birthday_check(at: datetime = LATER) -> Step:
    """Return the step by which the child's age is checked."""
    return Step(TimerFired("age", CASE, at), at=at)


def opened() -> Step:
    """Return the step by which the case is on record."""
    return Step(a_case_opened(), at=OPENED_AT)


def closed() -> Step:
    """Return the step by which the case is closed."""
    return Step(CaseClosed(reason="goals_reached"), at=LATER)


def awaited(referral_id: UUID = REFERRAL, at: datetime = AWAITED_AT) -> Step:
    """Return the step by which a referral begins to wait."""
    return Step(a_consent_awaited(referral_id, awaited_at=at), at=at)


def recorded(
    *holders: NamedHolder, born: date = BORN, young: UUID | None = None, at: datetime = RECORDED_AT
) -> Step:
    """Return the step by which custody is put on record."""
    return Step(custody(*holders, born=born, young_person_id=young), a_caseworker(), at)


def custody_confirmed(at: datetime = LATER) -> Step:
    """Return the step by which a colleague confirms who holds parental responsibility."""
    return Step(ConfirmCustody(), a_colleague(), at)


class Person(NamedTuple):
    """Somebody who may be asked, and the steps that they take signed in."""

    id: UUID
    actor: Actor

    def yes(self, referral_id: UUID = REFERRAL, at: datetime = ANSWERED_AT, **read: Any) -> Step:
        """Return the step by which they say yes."""
        return Step(a_yes(self.id, referral_id, **read), self.actor, at)

    def minuted_yes(self, at: datetime = ANSWERED_AT, evidence: AnswerForm = "oral_minuted") -> Step:
        """Return the step by which the caseworker minutes their yes."""
        return Step(a_yes(self.id, evidence=evidence), a_caseworker(), at)

    def confirmed(self, at: datetime = LATER, by: Actor | None = None) -> Step:
        """Return the step by which a colleague confirms their minuted yes."""
        return Step(a_confirmation(self.id), by or a_colleague(), at)

    def no(self, at: datetime = LATER) -> Step:
        """Return the step by which they say no."""
        return Step(a_no(self.id), self.actor, at)

    def withdrawal(self, at: datetime = LATER) -> Step:
        """Return the step by which they take a yes back."""
        return Step(a_withdrawal(self.id), self.actor, at)


mother = Person(MOTHER, a_guardian(MOTHER))
father = Person(FATHER, a_guardian(FATHER))
young_person = Person(YOUNG_PERSON, the_young_person())

ASKED = (opened(), awaited(), recorded())
"""A case in which both parents are asked about one referral."""
GRANTED = (*ASKED, mother.yes(), father.yes())
"""A case in which both parents have said yes."""


def over(end: Event) -> Step:
    """Return the step by which a referral is over."""
    return Step(end, at=LATER)


def permission_of(case: Case | None, referral_id: UUID = REFERRAL) -> Permission:
    """Return the permission behind a referral."""
    assert case is not None
    return case.permissions[referral_id]


def consent_of(case: Case | None, person_id: UUID = MOTHER) -> Any:
    """Return the record of one person."""
    assert case is not None
    return case.consents[consent_id(person_id)]


def statuses(case: Case | None) -> dict[UUID, str]:
    """Return the status of each record of the first referral, by the person."""
    assert case is not None
    return {one.question.person_id: one.status for one in case.consents_of(REFERRAL).values()}


def permission_type(case: Case | None) -> type:
    """Return the state of the first referral's permission."""
    return type(permission_of(case))


def custody_of(case: Case | None) -> Custody:
    """Return the custody that is on record."""
    assert case is not None
    assert case.custody is not None
    return case.custody
