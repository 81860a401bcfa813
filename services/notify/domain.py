"""The rules of notices: who has which, who may read them, how they are reached; pure."""

from datetime import datetime
from typing import Any, Literal
from uuid import NAMESPACE_URL, UUID, uuid5

from msgspec import Struct
from msgspec.structs import replace

from contracts import agreement, consent, referral
from contracts.event import Event
from contracts.notify import ContactLooked, ContactRecorded, MailDelivered, MailFailed, NoticeSent
from services.kernel.decider.decision import Actor, Context, Decision, Effect, PrivateValue, ReadRequest
from services.kernel.errors import InvalidTransition, NotFound
from services.notify.domain_case import (
    Case,
    Custody,
    Notice,
    Request,
    Share,
    inform,
    is_visible,
    role_of,
)
from services.notify.domain_news import news_of

ADDRESS = "email"
"""Under which name a recipient's address lies sealed."""


class Recipient(Struct, frozen=True, tag="recipient", tag_field="kind"):
    """How a person, organisation or department is reached by one municipality; the address lies sealed."""

    language: str
    has_address: bool


State = Case | Recipient


class RecordContact(Struct, frozen=True):
    """Keep the language and, if there is one, the mail address of a recipient."""

    recipient_id: UUID
    language: Literal["da", "nb", "en"]
    email: str = ""


class ReadNotice(Struct, frozen=True):
    """Put on record that a notice was read."""

    notice_id: UUID


class NoteMail(Struct, frozen=True):
    """Put on record how the mail about a notice went."""

    notice_id: UUID
    went: Literal["delivered", "failed", "inbox", "spared"]
    reason: str = ""


class Inbox(Struct, frozen=True):
    """Whose notices somebody reads, and in which role."""

    recipient_id: UUID
    role: str


def contact_of(tenant: str, recipient_id: UUID) -> UUID:
    """Return the stream of how one municipality reaches a recipient; no case and no other has its id."""
    return uuid5(NAMESPACE_URL, f"urn:samspil:contact:{tenant}:{recipient_id}")


def decide(state: State | None, trigger: object, context: Context) -> Decision:
    """Return what an event, or a command, makes of a case's notices or of a recipient."""
    match state, trigger:
        case ((None | Case()), Event()):
            return _hear(state or Case(), trigger, context)
        case Recipient(), Event():
            return Decision(state)
        case ((None | Recipient()), RecordContact()):
            return _record_contact(state, trigger, context)
        case Case(), ReadNotice():
            return _read(state, trigger, context)
        case Case(), NoteMail():
            return _note_mail(state, trigger)
        case None, _:
            raise NotFound
    raise InvalidTransition


def allows(state: State | None, trigger: object, context: Context) -> bool:
    """Return whether the actor may do what is asked."""
    match state, trigger:
        case ((None | Recipient()), RecordContact()):
            return _may_keep(context)
        case Recipient(), ReadRequest(what=("contact",)):
            return _may_keep(context)
        case Case(), ReadNotice(notice_id=notice_id):
            return _is_theirs(state, notice_id, inbox_of(context.actor))
        case Case(), NoteMail():
            return context.actor.role == "system"
    return False


def inbox_of(actor: Actor) -> Inbox | None:
    """Return the inbox that an actor reads: their own, their organisation's or their department's."""
    match actor:
        case Actor(role="coordinator", organisation_id=UUID() as organisation_id):
            return Inbox(organisation_id, "coordinator")
        case Actor(role="leader", department_id=UUID() as department_id):
            return Inbox(department_id, "leader")
        case Actor(role="caseworker"):
            return Inbox(actor.id, "caseworker")
        case Actor(role="guardian" | "young_person"):
            return Inbox(actor.id, "family")
    return None


def _may_keep(context: Context) -> bool:
    if context.actor.role in {"caseworker", "administrator"}:
        return True
    inbox = inbox_of(context.actor)
    return inbox is not None and contact_of(context.tenant, inbox.recipient_id) == context.stream_id


def _is_theirs(case: Case, notice_id: UUID, inbox: Inbox | None) -> bool:
    notice = case.notices.get(notice_id)
    if notice is None or inbox is None or not is_visible(case, notice):
        return False
    return inbox == Inbox(notice.recipient_id, role_of(case.news[notice.news_id]))


def _hear(case: Case, event: Event, context: Context) -> Decision:
    """Learn what an event says of the parties, add its news, and send the notices that now follow."""
    learned = _learn(case, event, context.now)
    news = dict(news_of(learned, event, context.stream_id, context.now))
    if news:
        learned = replace(learned, news={**learned.news, **news})
    after, fresh = inform(learned)
    sent = [(notice_id, after.notices[notice_id]) for notice_id in fresh]
    return Decision(
        after,
        events=tuple(
            NoticeSent(
                notice_id=notice_id, recipient_id=notice.recipient_id, kind=after.news[notice.news_id].kind
            )
            for notice_id, notice in sent
        ),
        effects=tuple(_mail(context, notice_id, notice, after) for notice_id, notice in sent),
    )


def _mail(context: Context, notice_id: UUID, notice: Notice, case: Case) -> Effect:
    about = {
        "case_id": str(context.stream_id),
        "notice_id": str(notice_id),
        "contact_id": str(contact_of(context.tenant, notice.recipient_id)),
        "kind": case.news[notice.news_id].kind,
    }
    return Effect(key=notice_id, kind="mail", about=about)


def _learn(case: Case, event: Event, at: datetime) -> Case:
    """Return the case with what an event says of its parties and of what they may know."""
    match event:
        case referral.CaseOpened():
            return replace(case, caseworker_id=event.caseworker_id, department_id=event.department_id)
        case referral.ReferralSent():
            return replace(case, sent=case.sent | {event.referral_id})
        case agreement.MeetingInvited():
            return replace(case, agreements={**case.agreements, event.agreement_id: event.referral_id})
        case (
            referral.ReferralDeclined()
            | referral.ReferralRecalled()
            | referral.ReferralWithdrawn()
            | referral.ReferralExpired()
            | agreement.AgreementEnded()  # from here on the organisation may see the case nowhere else either
        ):
            return replace(case, over=case.over | {event.referral_id})
    return _learn_of_consent(case, event, at)


def _learn_of_consent(case: Case, event: Event, at: datetime) -> Case:
    match event:
        case consent.CustodyRecorded():
            return replace(case, custody=(*case.custody, _custody(event, at)))
        case consent.ConsentRequested():
            asked = Request(event.referral_id, event.holder_id, at)
            return replace(case, requests={**case.requests, event.consent_id: asked})
        case consent.ConsentGiven() | consent.ConsentRefused():
            return _answer(case, event.consent_id, at)
        case consent.ConsentGranted() | consent.ConsentLost():
            return _share(case, event)
    return case


def _custody(event: consent.CustodyRecorded, at: datetime) -> Custody:
    young = () if event.young_person_id is None else (event.young_person_id,)
    return Custody(at, tuple(dict.fromkeys((*event.holder_ids, *young))))


def _answer(case: Case, consent_id: UUID, at: datetime) -> Case:
    request = case.requests.get(consent_id)
    if request is None or request.answered_at is not None:
        return case
    return replace(case, requests={**case.requests, consent_id: replace(request, answered_at=at)})


def _share(case: Case, event: consent.ConsentGranted | consent.ConsentLost) -> Case:
    opens = isinstance(event, consent.ConsentGranted)
    before = case.shares.get(event.referral_id)
    share = Share(event.organisation_id, opens, opens or (before is not None and before.was_open))
    return replace(case, shares={**case.shares, event.referral_id: share})


def _record_contact(state: Recipient | None, command: RecordContact, context: Context) -> Decision:
    after = Recipient(command.language, bool(command.email))
    if state == after and context.private.get(ADDRESS, "") == command.email:
        return Decision(state)
    recorded = ContactRecorded(
        channel="mail" if command.email else "inbox",
        language=command.language,
        recipient_id=command.recipient_id,
    )
    return Decision(
        after, events=(recorded,), private_values=(PrivateValue(context.stream_id, ADDRESS, command.email),)
    )


def _read(case: Case, command: ReadNotice, context: Context) -> Decision:
    notice = case.notices.get(command.notice_id)
    if notice is None:
        raise NotFound
    if notice.read_at is not None:
        return Decision(case)
    looked = ContactLooked(case_id=context.stream_id, what=("notice",), purpose="inbox")
    return Decision(_with(case, command.notice_id, replace(notice, read_at=context.now)), events=(looked,))


def _note_mail(case: Case, command: NoteMail) -> Decision:
    notice = case.notices.get(command.notice_id)
    if notice is None or notice.mail != "queued":
        return Decision(case)
    after = _with(case, command.notice_id, replace(notice, mail=command.went))
    about: dict[str, Any] = {"notice_id": command.notice_id, "recipient_id": notice.recipient_id}
    match command.went:
        case "delivered":
            return Decision(after, events=(MailDelivered(**about),))
        case "failed":
            return Decision(after, events=(MailFailed(**about, reason=command.reason),))
    return Decision(after)


def _with(case: Case, notice_id: UUID, notice: Notice) -> Case:
    return replace(case, notices={**case.notices, notice_id: notice})
