"""Sample data for the consent service: one child, two holders of parental responsibility, two referrals."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid5

from msgspec.structs import replace

from contracts.event import Event
from contracts.model import CollaborationModel, load_models, model_folder
from contracts.model_parts import Language
from contracts.referral import CaseOpened, ConsentAwaited, ReferralDeclined, ReferralRecalled
from services.consent.domain.commands import (
    GiveConsent,
    NamedHolder,
    RecordCustody,
    RefuseConsent,
    WithdrawConsent,
)
from services.consent.domain.lifecycle import decide
from services.consent.domain.states import Case, Minuted, Permission
from services.kernel.decider.decision import Actor, Context, Decision, TimerFired

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

OPENED_AT = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
AWAITED_AT = datetime(2026, 3, 3, 9, 0, tzinfo=UTC)
RECORDED_AT = datetime(2026, 3, 3, 10, 0, tzinfo=UTC)
ANSWERED_AT = datetime(2026, 3, 5, 19, 30, tzinfo=UTC)
LATER = datetime(2026, 3, 9, 7, 15, tzinfo=UTC)
LAPSE_ON = date(2026, 3, 31)
BORN = date(2016, 5, 10)
FIFTEEN = date(2011, 2, 20)
GROWN_UP = date(2008, 3, 1)

MODELS: Mapping[str, CollaborationModel] = load_models(model_folder())
MODEL = MODELS["kerteminde/1"]

MOTHERS_NAME = "Prøvemor Eksempelsen"
FATHERS_NAME = "Prøvefar Eksempelsen"
CHILDS_NAME = "Prøvebarn Eksempelsen"


def a_caseworker(department_id: UUID | None = DEPARTMENT) -> Actor:
    """Return the caseworker of the case."""
    return Actor(CASEWORKER, "caseworker", TENANT, None, department_id, "high")


def a_guardian(person_id: UUID = MOTHER) -> Actor:
    """Return a holder of parental responsibility who has signed in."""
    return Actor(person_id, "guardian", TENANT, assurance="high")


def the_young_person() -> Actor:
    """Return the young person, signed in."""
    return Actor(YOUNG_PERSON, "young_person", TENANT, assurance="high")


def given(
    now: datetime = ANSWERED_AT,
    actor: Actor | None = None,
    *,
    private: Mapping[str, Any] | None = None,
    models: Mapping[str, CollaborationModel] = MODELS,
) -> Context:
    """Return what a rule may know at a time."""
    return Context(now, CASE, TENANT, actor or a_guardian(), models, {}, private or {})


def a_case_opened() -> CaseOpened:
    """Return that a caseworker follows the child under Kerteminde's model."""
    return CaseOpened(department_id=DEPARTMENT, caseworker_id=CASEWORKER, model="kerteminde", model_version=1)


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
    *holders: NamedHolder, born: date = BORN, young_person_id: UUID | None = None, name: str = CHILDS_NAME
) -> RecordCustody:
    """Return the command that puts custody on record; by default both parents hold it."""
    return RecordCustody(holders or (the_mother(), the_father()), born, young_person_id, name)


def consent_id(person_id: UUID = MOTHER, referral_id: UUID = REFERRAL) -> UUID:
    """Return the id of what one person is asked for one referral."""
    return uuid5(referral_id, str(person_id))


def sha256_of(audience: str = "guardian", language: Language = "da") -> str:
    """Return the fingerprint of the model's text for an audience."""
    return next(text for text in MODEL.consent.texts if text.audience == audience).sha256(language)


def a_yes(
    person_id: UUID = MOTHER,
    referral_id: UUID = REFERRAL,
    *,
    language: Language | None = None,
    sha256: str | None = None,
    evidence: Minuted | None = None,
) -> GiveConsent:
    """Return a yes to the text in the language that the person reads."""
    read = language or ("nb" if person_id == FATHER else "da")
    audience = "young_person" if person_id == YOUNG_PERSON else "guardian"
    shown = sha256 or sha256_of(audience, read)
    return GiveConsent(consent_id(person_id, referral_id), read, shown, evidence)


def a_no(person_id: UUID = MOTHER, referral_id: UUID = REFERRAL) -> RefuseConsent:
    """Return a no."""
    return RefuseConsent(consent_id(person_id, referral_id))


def a_withdrawal(
    person_id: UUID = MOTHER, referral_id: UUID = REFERRAL, evidence: Minuted | None = None
) -> WithdrawConsent:
    """Return that a yes is taken back."""
    return WithdrawConsent(consent_id(person_id, referral_id), evidence)


def a_lapse(referral_id: UUID = REFERRAL) -> TimerFired:
    """Return that the time to answer is over."""
    return TimerFired("lapse", referral_id, datetime(2026, 3, 31, 4, 0, tzinfo=UTC))


def an_expiry(person_id: UUID = MOTHER) -> TimerFired:
    """Return that the time of a yes is over."""
    return TimerFired("expiry", consent_id(person_id), datetime(2027, 3, 5, 19, 30, tzinfo=UTC))


def a_birthday_check(at: datetime) -> TimerFired:
    """Return that it is time to look at the child's age."""
    return TimerFired("age", CASE, at)


def after(*steps: tuple[Any, Context]) -> Decision:
    """Return the case after steps, with all that was said, woken and sealed on the way."""
    whole = Decision(None)
    for asked, known in steps:
        step = decide(whole.state, asked, known)
        whole = replace(
            step,
            events=(*whole.events, *step.events),
            timers=(*whole.timers, *step.timers),
            private_values=(*whole.private_values, *step.private_values),
        )
    return whole


def opened() -> tuple[Any, Context]:
    """Return the step by which the case becomes known."""
    return a_case_opened(), given(OPENED_AT)


def awaited(referral_id: UUID = REFERRAL) -> tuple[Any, Context]:
    """Return the step by which a referral begins to wait."""
    return a_consent_awaited(referral_id), given(AWAITED_AT)


def recorded(*holders: NamedHolder, born: date = BORN, young: UUID | None = None) -> tuple[Any, Context]:
    """Return the step by which custody is put on record."""
    return custody(*holders, born=born, young_person_id=young), given(RECORDED_AT, a_caseworker())


def yes_of(person_id: UUID, referral_id: UUID = REFERRAL, at: datetime = ANSWERED_AT) -> tuple[Any, Context]:
    """Return the step by which somebody says yes."""
    actor = the_young_person() if person_id == YOUNG_PERSON else a_guardian(person_id)
    return a_yes(person_id, referral_id), given(at, actor)


def a_case_with_questions() -> Case:
    """Return a case in which both parents are asked about one referral."""
    return a_case(opened(), awaited(), recorded())


def a_granted_case() -> Case:
    """Return a case in which both parents have said yes."""
    return a_case(opened(), awaited(), recorded(), yes_of(MOTHER), yes_of(FATHER))


def a_case(*steps: tuple[Any, Context]) -> Case:
    """Return the case after steps."""
    state = after(*steps).state
    assert isinstance(state, Case)
    return state


def permission_of(case: Case, referral_id: UUID = REFERRAL) -> Permission:
    """Return the permission behind a referral."""
    return case.permissions[referral_id]


def statuses(case: Case) -> dict[UUID, str]:
    """Return where each record stands, by its id."""
    return {at: consent.status for at, consent in case.consents.items()}


def kinds(events: Iterable[Event]) -> list[str]:
    """Return the types of events without service and version."""
    return [event.type.split(".")[1] for event in events]
