"""Made-up cases, referrals, commands and events of the referral service."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, Final
from uuid import UUID

from contracts.agreement import AgreementEnded, AgreementInForce
from contracts.consent import ConsentGranted, ConsentLost, CustodyRecorded
from contracts.directory import (
    CapacityChanged,
    DepartmentRegistered,
    ModelAdopted,
    OfferPublished,
    OrganisationJoined,
    OrganisationLeft,
)
from contracts.event import Event, municipality_stream
from contracts.model import CollaborationModel, load_model, model_folder
from services.kernel.decider.decision import Actor, Context, TimerFired
from services.referral.domain.commands import (
    AcceptReferral,
    AssessEligibility,
    AwaitConsent,
    Child,
    CloseCase,
    Command,
    ConfirmDeletion,
    DeclineReferral,
    DraftReferral,
    NoteViews,
    OfReferral,
    OpenCase,
    RecallReferral,
    SeeReferral,
    SendReferral,
    View,
)
from services.referral.domain.deadlines import DEADLINE
from services.referral.domain.states import (
    Accepted,
    AwaitingConsent,
    Case,
    Closed,
    Consent,
    Custody,
    Declined,
    Drafted,
    Eligibility,
    Expected,
    Expired,
    Granted,
    Help,
    Lost,
    Municipality,
    Offer,
    Organisation,
    Plan,
    Ready,
    Recalled,
    Referral,
    Scope,
    Seen,
    Sent,
    State,
    UnderWay,
    Views,
    Withdrawn,
)

TENANT: Final = "0440"
MUNICIPALITY: Final = municipality_stream(TENANT)
CASE: Final = UUID(int=0xCA5E)
CHILD: Final = UUID(int=0xC41D)
DEPARTMENT: Final = UUID(int=0xDE9A)
ORGANISATION: Final = UUID(int=0x0F6A)
OFFER: Final = UUID(int=0x0FFE)
REFERRAL: Final = UUID(int=0x4EFE)
AGREEMENT: Final = UUID(int=0xA64E)
MOTHER: Final = UUID(int=0x30F)
FATHER: Final = UUID(int=0xFA7)
CASEWORKER: Final = Actor(UUID(int=0xC4), "caseworker", TENANT, department_id=DEPARTMENT)
COORDINATOR: Final = Actor(UUID(int=0xC0), "coordinator", TENANT, organisation_id=ORGANISATION)
GUARDIAN: Final = Actor(MOTHER, "guardian", TENANT)

# A Monday; no holiday follows in the weeks that the examples count.
NOW: Final = datetime(2026, 3, 2, 10, tzinfo=UTC)
TODAY: Final = date(2026, 3, 2)
NEXT_YEAR: Final = datetime(2027, 3, 1, tzinfo=UTC)
KERTEMINDE: Final[CollaborationModel] = load_model(model_folder() / "kerteminde.toml")
PRIVATE: Final[Mapping[str, Any]] = {"born": "2017-05-04", "residence": TENANT}
SECRETS: Final = (
    "Frida",
    "Vestergaard",
    "2017-05-04",
    "like football",
    "misses her father",
    "shy",
    "12345678",
)


def a_context(**changes: Any) -> Context:
    """Return the context of a caseworker's command on the case."""
    usual: dict[str, Any] = {
        "now": NOW,
        "stream_id": CASE,
        "tenant": TENANT,
        "actor": CASEWORKER,
        "models": {KERTEMINDE.ref: KERTEMINDE},
        "others": {
            MUNICIPALITY: a_municipality(),
            OFFER: an_offer(),
            ORGANISATION: an_organisation(),
        },
        "private": PRIVATE,
    }
    return Context(**{**usual, **changes})


def a_municipality(*departments: UUID) -> Municipality:
    """Kerteminde, which follows its own model."""
    return Municipality(model="kerteminde", model_version=1, departments=departments or (DEPARTMENT,))


def an_offer(*, places: int = 3, taken: int = 1, **changes: Any) -> Offer:
    """A mentor for schoolchildren in Kerteminde."""
    usual: dict[str, Any] = {
        "organisation_id": ORGANISATION,
        "theme": "mentor",
        "age_from": 6,
        "age_to": 12,
        "areas": (TENANT,),
        "places": places,
        "taken": taken,
    }
    return Offer(**{**usual, **changes})


def an_organisation(*, joined: bool = True, declaration_until: date = date(2027, 1, 1)) -> Organisation:
    """An association that takes part."""
    return Organisation(joined=joined, declaration_until=declaration_until)


def a_case(referral: Referral | None = None, consent: Consent | None = None, **changes: Any) -> Case:
    """A case that may be referred, perhaps with one referral and the consent on record for it."""
    usual: dict[str, Any] = {
        "child_id": CHILD,
        "department_id": DEPARTMENT,
        "caseworker_id": CASEWORKER.id,
        "model": "kerteminde",
        "model_version": 1,
        "opened_at": NOW,
        "views": Views("heard", "heard", NOW),
        "eligibility": an_eligibility(),
        "referrals": {REFERRAL: referral} if referral else {},
        "consents": {REFERRAL: consent} if consent else {},
        "custody": Custody((MOTHER, FATHER), None),
    }
    return Case(**{**usual, **changes})


def an_eligibility(*, eligible: bool = True) -> Eligibility:
    """The answer to Kerteminde's criteria."""
    return Eligibility(
        eligible=eligible,
        statutory_channel=False,
        reasons=("age_within",),
        theme="mentor",
        measure="mentor",
        assessed_by=CASEWORKER.id,
        assessed_at=NOW,
    )


def a_plan() -> Plan:
    """A mentor, while the school goes on helping."""
    return Plan(ORGANISATION, OFFER, ("networks",), (Help("school_support", DEPARTMENT),))


def a_scope() -> Scope:
    """What is always shared, the goals, and how the parents are reached."""
    return Scope("networks", ("first_name", "age_band", "need", "goals", "contact"))


def a_consent(until: datetime = NEXT_YEAR, **changes: Any) -> Granted:
    """A consent that covers the referral."""
    usual: dict[str, Any] = {"organisation_id": ORGANISATION, "scope": a_scope(), "until": until}
    return Granted(**{**usual, **changes})


def a_draft() -> Drafted:
    """A referral that has not left the municipality."""
    return Drafted(plan=a_plan())


def an_awaiting() -> AwaitingConsent:
    """A referral whose consents were requested today."""
    return AwaitingConsent(
        plan=a_plan(), scope=a_scope(), remind_on=date(2026, 3, 9), lapse_on=date(2026, 3, 30)
    )


def a_ready() -> Ready:
    """A referral whose last consent came today."""
    return Ready(plan=a_plan(), scope=a_scope(), send_by=date(2026, 3, 5))


def a_sent() -> Sent:
    """A referral sent today."""
    return Sent(plan=a_plan(), scope=a_scope(), sent_at=NOW, answer_by=date(2026, 3, 11))


def a_seen() -> Seen:
    """A referral sent and opened today."""
    return Seen(plan=a_plan(), scope=a_scope(), sent_at=NOW, seen_at=NOW, answer_by=date(2026, 3, 11))


def an_accepted() -> Accepted:
    """A referral accepted today."""
    return Accepted(
        plan=a_plan(), scope=a_scope(), accepted_at=NOW, in_time=True, meeting_by=date(2026, 3, 16)
    )


def an_under_way() -> UnderWay:
    """A referral whose agreement is in force."""
    return UnderWay(plan=a_plan(), scope=a_scope(), in_time=True)


def a_closed() -> Closed:
    """A referral whose agreement has ended."""
    return Closed(plan=a_plan(), scope=a_scope(), reason="goals_reached", ended_on=TODAY, in_time=True)


def a_declined() -> Declined:
    """A referral that the organisation did not take."""
    return Declined(plan=a_plan(), reason="no_places", declined_at=NOW, in_time=True)


def a_recalled(delete_by: date | None = date(2026, 3, 9), deleted_at: datetime | None = None) -> Recalled:
    """A referral that was taken back after it was sent."""
    return Recalled(
        plan=a_plan(), reason="family_moved", recalled_at=NOW, delete_by=delete_by, deleted_at=deleted_at
    )


def a_withdrawn(
    delete_by: date | None = date(2026, 3, 9), deleted_at: datetime | None = None, reason: str = "withdrawn"
) -> Withdrawn:
    """A referral whose consent was lost after it was sent."""
    return Withdrawn(
        plan=a_plan(), reason=reason, withdrawn_at=NOW, delete_by=delete_by, deleted_at=deleted_at
    )


def an_expired(step: str = "sent", expired_on: date = date(2026, 3, 25)) -> Expired:
    """A referral that got no answer in time."""
    return Expired(plan=a_plan(), step=step, expired_on=expired_on)


def referrals() -> tuple[Referral, ...]:
    """One referral of each status."""
    return (
        a_draft(), an_awaiting(), a_ready(), a_sent(), a_seen(), an_accepted(), an_under_way(), a_closed(),
        a_declined(), a_recalled(), a_withdrawn(), an_expired(),
    )  # fmt: skip


def consent_of(referral: Referral) -> Consent | None:
    """Return the consent on record behind a referral of that status."""
    match referral:
        case Drafted() | AwaitingConsent():
            return None
        case Withdrawn():
            return Lost(referral.reason)
        case _:
            return a_consent()


def referral_commands() -> tuple[OfReferral, ...]:
    """One of each command on a referral."""
    return (
        AwaitConsent(REFERRAL, ("goals", "contact")),
        SendReferral(REFERRAL),
        SeeReferral(REFERRAL),
        AcceptReferral(REFERRAL),
        DeclineReferral(REFERRAL, "no_places"),
        RecallReferral(REFERRAL, "family_moved"),
        ConfirmDeletion(REFERRAL),
    )


def fired_timers() -> tuple[TimerFired, ...]:
    """The timer of a referral before its first step, at its reminder, and after its last step."""
    moments = (NOW, datetime(2026, 3, 9, 5, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC))
    return tuple(TimerFired(DEADLINE, REFERRAL, at) for at in moments)


def an_expected() -> Expected:
    """A case of which custody and a consent arrived before it was opened."""
    return Expected(consents={REFERRAL: a_consent()}, custody=Custody((MOTHER, FATHER), None))


def documents() -> tuple[State, ...]:
    """One document of each kind."""
    return (
        an_expected(),
        a_case(a_sent(), a_consent()),
        an_offer(),
        an_organisation(),
        a_municipality(),
    )


def document_triggers() -> tuple[Command | Event, ...]:
    """One of each command and event that belongs to a whole document."""
    return (
        to_open_case(), to_note_views(), to_assess(), to_draft(), CloseCase("family_moved"),
        custody_recorded(), granted(), lost(), published(), capacity(2), joined(), left(), adopted(),
        registered(),
    )  # fmt: skip


def to_open_case(**changes: Any) -> OpenCase:
    """Begin to follow Frida."""
    usual: dict[str, Any] = {
        "municipality_id": MUNICIPALITY,
        "department_id": DEPARTMENT,
        "child_id": CHILD,
        "child": Child(
            first_name="Frida",
            family_name="Vestergaard",
            born=date(2017, 5, 4),
            residence=TENANT,
            contact="mother, 12345678",
        ),
    }
    return OpenCase(**{**usual, **changes})


def to_note_views() -> NoteViews:
    """Note what Frida and her mother said."""
    return NoteViews(
        child=View(answer="heard", view="I like football", proposals="to play"),
        family=View(answer="heard", view="she misses her father"),
    )


def to_assess(**changes: Any) -> AssessEligibility:
    """Judge that a mentor can help."""
    usual: dict[str, Any] = {
        "theme": "mentor",
        "measure": "mentor",
        "conditions": ("friends",),
        "factors": ("fragile_network",),
        "answers": {"situation": True, "wish": True, "judged_helpful": True, "serious_concern": False},
        "judgement": "she is shy and would gain from a steady adult",
        "offer_id": OFFER,
    }
    return AssessEligibility(**{**usual, **changes})


def to_draft(**changes: Any) -> DraftReferral:
    """Choose the mentor, while the school goes on helping."""
    usual: dict[str, Any] = {
        "municipality_id": MUNICIPALITY,
        "referral_id": REFERRAL,
        "organisation_id": ORGANISATION,
        "offer_id": OFFER,
        "purposes": ("networks",),
        "public_help": (Help("school_support", DEPARTMENT),),
        "need": "she is shy",
        "aim": "a friend to play with",
    }
    return DraftReferral(**{**usual, **changes})


def granted(until: datetime = NEXT_YEAR, facts: tuple[str, ...] | None = None) -> ConsentGranted:
    """All have consented."""
    return ConsentGranted(
        referral_id=REFERRAL,
        organisation_id=ORGANISATION,
        purpose="networks",
        facts=facts or a_scope().facts,
        until=until,
    )


def lost(reason: str = "withdrawn") -> ConsentLost:
    """Somebody does not consent, or no longer."""
    return ConsentLost(referral_id=REFERRAL, organisation_id=ORGANISATION, purpose="networks", reason=reason)


def custody_recorded() -> CustodyRecorded:
    """Both parents hold parental responsibility."""
    return CustodyRecorded(holder_ids=(MOTHER, FATHER), quorum="all_holders", rule="dk_2024")


def in_force() -> AgreementInForce:
    """The agreement is signed by all."""
    return AgreementInForce(
        agreement_id=AGREEMENT,
        referral_id=REFERRAL,
        organisation_id=ORGANISATION,
        version=1,
        goal_ids=(),
        model="kerteminde",
        model_version=1,
        starts_on=TODAY,
        ends_on=date(2026, 9, 1),
        update_every_days=30,
        evaluate_every_days=90,
    )


def ended(reason: str = "goals_reached") -> AgreementEnded:
    """The agreement has ended."""
    return AgreementEnded(
        agreement_id=AGREEMENT,
        referral_id=REFERRAL,
        organisation_id=ORGANISATION,
        reason=reason,
        ended_on=TODAY,
    )


def joined() -> OrganisationJoined:
    """The association takes part."""
    return OrganisationJoined(
        organisation_id=ORGANISATION, terms="terms_1", joined_on=TODAY, declaration_until=date(2027, 1, 1)
    )


def left() -> OrganisationLeft:
    """The association takes part no longer."""
    return OrganisationLeft(organisation_id=ORGANISATION, reason="own_wish", left_on=TODAY)


def published(places: int = 3) -> OfferPublished:
    """The association offers mentors."""
    return OfferPublished(
        offer_id=OFFER,
        organisation_id=ORGANISATION,
        theme="mentor",
        format="one_to_one",
        age_from=6,
        age_to=12,
        areas=(TENANT,),
        price="free",
        places=places,
    )


def capacity(places: int) -> CapacityChanged:
    """The association has corrected its places."""
    return CapacityChanged(offer_id=OFFER, places=places, as_of=TODAY)


def registered(department_id: UUID = DEPARTMENT) -> DepartmentRegistered:
    """A department takes part."""
    return DepartmentRegistered(department_id=department_id, kind="child_welfare")


def adopted() -> ModelAdopted:
    """Kerteminde follows its model."""
    return ModelAdopted(model="kerteminde", version=1, sha256="0" * 64)


def consumed_events() -> tuple[Event, ...]:
    """One of each event that is consumed about a referral."""
    return (granted(), lost(), lost("lapsed"), in_force(), ended())
