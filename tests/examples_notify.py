"""Sample data for the notify service: one case, its parties, and the events about it."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from msgspec.structs import replace

from contracts.agreement import (
    AgreementEnded,
    AgreementInForce,
    AgreementProposed,
    MeetingInvited,
    MeetingNudged,
    ProgressNudged,
    ProgressReported,
)
from contracts.consent import (
    ConfirmationNudged,
    ConsentGiven,
    ConsentGranted,
    ConsentLost,
    ConsentMinuted,
    ConsentRefused,
    ConsentRequested,
    ConsentUnconfirmed,
    CustodyConfirmationAwaited,
    CustodyRecorded,
)
from contracts.directory import DepartmentRegistered, OrganisationJoined
from contracts.evaluation import EvaluationConcluded, EvaluationDue, EvaluationNudged, EvaluationPlanned
from contracts.event import Event
from contracts.notify import NoticeSent
from contracts.referral import (
    CaseClosed,
    CaseOpened,
    DeletionConfirmed,
    ReferralAccepted,
    ReferralDeclined,
    ReferralExpired,
    ReferralNudged,
    ReferralReady,
    ReferralRecalled,
    ReferralSent,
    ReferralWithdrawn,
)
from services.kernel.decider.decision import Actor, Context, Effect
from services.notify.domain.commands import ReadNotice, RecordMailOutcome
from services.notify.domain.lifecycle import decide
from services.notify.domain.states import Case, Parties, Recipient, State

TENANT = "0440"
CASE = UUID("0198c000-0000-7000-8000-000000000001")
CASEWORKER = UUID("0198c000-0000-7000-8000-000000000002")
DEPARTMENT = UUID("0198c000-0000-7000-8000-000000000003")
MOTHER = UUID("0198c000-0000-7000-8000-000000000004")
FATHER = UUID("0198c000-0000-7000-8000-000000000005")
AUNT = UUID("0198c000-0000-7000-8000-000000000006")
YOUNG_PERSON = UUID("0198c000-0000-7000-8000-000000000007")
ORGANISATION = UUID("0198c000-0000-7000-8000-000000000008")
OTHER_ORGANISATION = UUID("0198c000-0000-7000-8000-000000000009")
COORDINATOR = UUID("0198c000-0000-7000-8000-00000000000a")
LEADER = UUID("0198c000-0000-7000-8000-00000000000b")
STRANGER = UUID("0198c000-0000-7000-8000-00000000000c")
REFERRAL = UUID("0198c000-0000-7000-8000-000000000010")
OTHER_REFERRAL = UUID("0198c000-0000-7000-8000-000000000011")
OFFER = UUID("0198c000-0000-7000-8000-000000000012")
MOTHERS_CONSENT = UUID("0198c000-0000-7000-8000-000000000013")
FATHERS_CONSENT = UUID("0198c000-0000-7000-8000-000000000014")
AGREEMENT = UUID("0198c000-0000-7000-8000-000000000015")
EVALUATION = UUID("0198c000-0000-7000-8000-000000000016")
GOAL = UUID("0198c000-0000-7000-8000-000000000017")

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SOON = date(2026, 3, 16)

TimedEvent = tuple[Event, datetime]
"""An event and when it happened."""


def at(day: int) -> datetime:
    """Return the morning of a day, counted from the opening of the case."""
    return NOW + timedelta(days=day)


def a_caseworker() -> Actor:
    """Return the caseworker of the case."""
    return Actor(CASEWORKER, "caseworker", TENANT, department_id=DEPARTMENT)


def a_coordinator(organisation_id: UUID = ORGANISATION) -> Actor:
    """Return a coordinator of an organisation."""
    return Actor(COORDINATOR, "coordinator", TENANT, organisation_id=organisation_id)


def a_guardian(person_id: UUID = MOTHER) -> Actor:
    """Return a guardian."""
    return Actor(person_id, "guardian", TENANT)


def a_leader() -> Actor:
    """Return the leader of the case's department."""
    return Actor(LEADER, "leader", TENANT, department_id=DEPARTMENT)


def context(actor: Actor | None = None, now: datetime = NOW, **private: str) -> Context:
    """Return the context of a step in the case."""
    return Context(now, CASE, TENANT, actor or Actor(), {}, private=private)


def case_opened() -> CaseOpened:
    """Return the opening of the case."""
    return CaseOpened(department_id=DEPARTMENT, caseworker_id=CASEWORKER, model="kerteminde", model_version=1)


def custody_recorded(*holders: UUID, young_person: UUID | None = None) -> CustodyRecorded:
    """Return who holds parental responsibility."""
    return CustodyRecorded(
        holder_ids=holders, young_person_id=young_person, quorum="all_holders", rule="dk_joint_custody"
    )


def requested(holder_id: UUID = MOTHER, consent_id: UUID = MOTHERS_CONSENT) -> ConsentRequested:
    """Return the request for a person's consent."""
    return ConsentRequested(
        consent_id=consent_id,
        referral_id=REFERRAL,
        organisation_id=ORGANISATION,
        holder_id=holder_id,
        purpose="networks",
        facts=("need",),
        text_id="consent_text",
        text_sha256="0" * 64,
        language="da",
    )


def minuted_for(holder_id: UUID = MOTHER, consent_id: UUID = MOTHERS_CONSENT) -> ConsentMinuted:
    """Return the minute of a person's yes."""
    return ConsentMinuted(
        consent_id=consent_id,
        referral_id=REFERRAL,
        holder_id=holder_id,
        evidence="oral_minuted",
        confirm_by=SOON,
    )


def unconfirmed(holder_id: UUID = MOTHER, consent_id: UUID = MOTHERS_CONSENT) -> ConsentUnconfirmed:
    """Return that a minuted yes does not count."""
    return ConsentUnconfirmed(
        consent_id=consent_id, referral_id=REFERRAL, holder_id=holder_id, reason="not_said"
    )


def confirmation_nudged(rung: str) -> ConfirmationNudged:
    """Return a rung of the escalation of a confirmation."""
    return ConfirmationNudged(consent_id=MOTHERS_CONSENT, referral_id=REFERRAL, confirm_by=SOON, rung=rung)


def custody_to_confirm() -> CustodyConfirmationAwaited:
    """Return that custody is to be confirmed before anything is permitted."""
    return CustodyConfirmationAwaited(referral_id=REFERRAL, confirm_by=SOON)


def department_registered() -> DepartmentRegistered:
    """Return that the municipality has the case's department."""
    return DepartmentRegistered(department_id=DEPARTMENT, kind="child_welfare")


def organisation_joined() -> OrganisationJoined:
    """Return that an organisation takes part."""
    return OrganisationJoined(
        organisation_id=ORGANISATION, terms="kerteminde_1", joined_on=SOON, declaration_until=SOON
    )


def given_by(holder_id: UUID = MOTHER, consent_id: UUID = MOTHERS_CONSENT, day: int = 3) -> ConsentGiven:
    """Return a person's yes."""
    return ConsentGiven(
        consent_id=consent_id,
        referral_id=REFERRAL,
        holder_id=holder_id,
        given_at=at(day),
        expires_at=at(300),
    )


def refused_by(holder_id: UUID = FATHER, consent_id: UUID = FATHERS_CONSENT) -> ConsentRefused:
    """Return a person's no."""
    return ConsentRefused(consent_id=consent_id, referral_id=REFERRAL, holder_id=holder_id)


def granted(referral_id: UUID = REFERRAL, organisation_id: UUID = ORGANISATION) -> ConsentGranted:
    """Return the consent of all who must give it."""
    return ConsentGranted(
        referral_id=referral_id,
        organisation_id=organisation_id,
        purpose="networks",
        facts=("need",),
        until=at(300),
    )


def lost(reason: str = "withdrawn", referral_id: UUID = REFERRAL) -> ConsentLost:
    """Return the loss of the consent."""
    return ConsentLost(
        referral_id=referral_id, organisation_id=ORGANISATION, purpose="networks", reason=reason
    )


def ready() -> ReferralReady:
    """Return the referral ready to be sent."""
    return ReferralReady(referral_id=REFERRAL, send_by=SOON)


def sent(referral_id: UUID = REFERRAL) -> ReferralSent:
    """Return the sending of the referral."""
    return ReferralSent(
        referral_id=referral_id, organisation_id=ORGANISATION, offer_id=OFFER, sent_at=at(5), answer_by=SOON
    )


def accepted() -> ReferralAccepted:
    """Return the organisation's yes."""
    return ReferralAccepted(
        referral_id=REFERRAL,
        organisation_id=ORGANISATION,
        offer_id=OFFER,
        purposes=("networks",),
        model="kerteminde",
        model_version=1,
        accepted_at=at(6),
        meeting_by=SOON,
    )


def declined() -> ReferralDeclined:
    """Return the organisation's no."""
    return ReferralDeclined(referral_id=REFERRAL, organisation_id=ORGANISATION, reason="no_capacity")


def recalled() -> ReferralRecalled:
    """Return the municipality taking the referral back."""
    return ReferralRecalled(
        referral_id=REFERRAL, organisation_id=ORGANISATION, reason="family_moved", delete_by=SOON
    )


def withdrawn() -> ReferralWithdrawn:
    """Return the end of the referral after its consent was lost."""
    return ReferralWithdrawn(
        referral_id=REFERRAL, organisation_id=ORGANISATION, reason="withdrawn", delete_by=SOON
    )


def expired(step: str = "sent") -> ReferralExpired:
    """Return the end of the referral by its deadline."""
    return ReferralExpired(referral_id=REFERRAL, organisation_id=ORGANISATION, step=step)


def nudged(step: str, rung: str) -> ReferralNudged:
    """Return a rung of the escalation of a referral."""
    return ReferralNudged(referral_id=REFERRAL, organisation_id=ORGANISATION, step=step, rung=rung)


def deletion_confirmed() -> DeletionConfirmed:
    """Return the organisation's confirmation that its copy is gone."""
    return DeletionConfirmed(referral_id=REFERRAL, organisation_id=ORGANISATION)


def case_closed() -> CaseClosed:
    """Return the end of the case."""
    return CaseClosed(reason="completed")


def meeting_invited() -> MeetingInvited:
    """Return the invitation to the start-up meeting."""
    return MeetingInvited(
        agreement_id=AGREEMENT, referral_id=REFERRAL, organisation_id=ORGANISATION, meeting_by=SOON
    )


def meeting_nudged(rung: str) -> MeetingNudged:
    """Return a rung of the escalation of the meeting."""
    return MeetingNudged(agreement_id=AGREEMENT, organisation_id=ORGANISATION, meeting_by=SOON, rung=rung)


def proposed(version: int = 1) -> AgreementProposed:
    """Return a version of the agreement, ready to be signed."""
    return AgreementProposed(
        agreement_id=AGREEMENT,
        referral_id=REFERRAL,
        organisation_id=ORGANISATION,
        version=version,
        goals=(),
        starts_on=SOON,
        ends_on=date(2026, 9, 16),
        update_every_days=30,
        evaluate_every_days=90,
        cost="free",
    )


def in_force() -> AgreementInForce:
    """Return the agreement signed by all."""
    return AgreementInForce(
        agreement_id=AGREEMENT,
        referral_id=REFERRAL,
        organisation_id=ORGANISATION,
        version=1,
        goal_ids=(GOAL,),
        model="kerteminde",
        model_version=1,
        starts_on=SOON,
        ends_on=date(2026, 9, 16),
        update_every_days=30,
        evaluate_every_days=90,
    )


def reported() -> ProgressReported:
    """Return the organisation's report of how it goes."""
    return ProgressReported(agreement_id=AGREEMENT, number=1, reported_on=SOON, trend="better")


def progress_nudged(rung: str, number: int = 1) -> ProgressNudged:
    """Return a rung of the escalation of a progress update."""
    return ProgressNudged(
        agreement_id=AGREEMENT, organisation_id=ORGANISATION, number=number, due_on=SOON, rung=rung
    )


def ended(reason: str = "completed") -> AgreementEnded:
    """Return the end of the agreement."""
    return AgreementEnded(
        agreement_id=AGREEMENT,
        referral_id=REFERRAL,
        organisation_id=ORGANISATION,
        reason=reason,
        ended_on=date(2026, 9, 16),
    )


def planned() -> EvaluationPlanned:
    """Return the plan of an evaluation."""
    return EvaluationPlanned(
        evaluation_id=EVALUATION, agreement_id=AGREEMENT, organisation_id=ORGANISATION, due_on=SOON
    )


def due() -> EvaluationDue:
    """Return the day of an evaluation."""
    return EvaluationDue(
        evaluation_id=EVALUATION, agreement_id=AGREEMENT, organisation_id=ORGANISATION, due_on=SOON
    )


def evaluation_nudged(rung: str) -> EvaluationNudged:
    """Return a rung of the escalation of an evaluation."""
    return EvaluationNudged(evaluation_id=EVALUATION, organisation_id=ORGANISATION, due_on=SOON, rung=rung)


def concluded() -> EvaluationConcluded:
    """Return the outcome of an evaluation."""
    return EvaluationConcluded(
        evaluation_id=EVALUATION,
        agreement_id=AGREEMENT,
        organisation_id=ORGANISATION,
        decision="continue",
        reason="goals_near",
        attained=(),
    )


def consume(events: Iterable[TimedEvent], case: State | None = None) -> tuple[State | None, list[NoticeSent]]:
    """Return a case after it consumed events in this order, and the notices sent on the way."""
    sent_out: list[NoticeSent] = []
    for event, time in events:
        decision = decide(case, event, context(now=time))
        case = decision.state
        sent_out += [notice for notice in decision.events if isinstance(notice, NoticeSent)]
    return case, sent_out


def a_case(*events: Event) -> Case:
    """Return the case with its parties on record and consent granted, after further events, a day apart."""
    begun = [case_opened(), custody_recorded(MOTHER, FATHER), requested(), granted(), *events]
    case, _ = consume((event, at(day)) for day, event in enumerate(begun))
    assert isinstance(case, Case)
    return case


def notice_to(case: Case, recipient_id: UUID, kind: str) -> UUID:
    """Return the id of the one notice of a kind that a recipient has."""
    (found,) = (
        notice_id
        for notice_id, notice in case.notices.items()
        if notice.recipient_id == recipient_id and case.notifications[notice.notification_id].kind == kind
    )
    return found


def kinds_of(case: Case) -> dict[UUID, set[str]]:
    """Return the kinds of notices by recipient."""
    found: dict[UUID, set[str]] = {}
    for notice in case.notices.values():
        found.setdefault(notice.recipient_id, set()).add(case.notifications[notice.notification_id].kind)
    return found


def a_mail(case: Case, notice_id: UUID) -> Effect:
    """Return the effect that mails about a notice."""
    notice = case.notices[notice_id]
    about = {
        "case_id": str(CASE),
        "notice_id": str(notice_id),
        "recipient_id": str(notice.recipient_id),
        "kind": case.notifications[notice.notification_id].kind,
    }
    if about["kind"] == "consent_minuted":
        about["minuted_by"] = str(CASEWORKER)
    return Effect(notice_id, "mail", about)


REACHED = Recipient(MOTHER, "da", has_address=True, recorded_by=MOTHER)
PARTIES = Parties(frozenset({DEPARTMENT}))


def mail_outcomes(notice_id: UUID) -> tuple[RecordMailOutcome, ...]:
    """Return each outcome that the mail about a notice may have."""
    return (
        RecordMailOutcome(notice_id, "delivered"),
        RecordMailOutcome(notice_id, "failed", "smtp_550"),
        RecordMailOutcome(notice_id, "inbox"),
        RecordMailOutcome(notice_id, "spared"),
    )


def states() -> tuple[State, ...]:
    """Return an example of every state: of a case, of its notices and their mails, and of a recipient."""
    case = a_case(sent(), accepted())
    notice_id = notice_to(case, MOTHER, "referral_accepted")
    triggers = (ReadNotice(notice_id), *mail_outcomes(notice_id))
    followed = (decide(case, trigger, context(a_guardian())).state for trigger in triggers)
    return (Case(), case, *followed, REACHED, replace(REACHED, has_address=False), PARTIES)


def events() -> tuple[Event, ...]:
    """Return an example of every event that is consumed."""
    return (
        case_opened(),
        custody_recorded(MOTHER, FATHER),
        requested(),
        minuted_for(),
        unconfirmed(),
        confirmation_nudged("reminder"),
        custody_to_confirm(),
        given_by(),
        refused_by(),
        granted(),
        lost(),
        ready(),
        sent(),
        nudged("sent", "reminder"),
        accepted(),
        declined(),
        recalled(),
        withdrawn(),
        expired(),
        deletion_confirmed(),
        meeting_invited(),
        meeting_nudged("reminder"),
        proposed(),
        in_force(),
        reported(),
        progress_nudged("leader"),
        ended(),
        planned(),
        due(),
        evaluation_nudged("reminder"),
        concluded(),
        case_closed(),
        department_registered(),
        organisation_joined(),
    )
