"""What is known of a case, and who therefore has which notices; pure."""

from datetime import datetime
from typing import Final, Literal
from uuid import UUID, uuid5

from msgspec import Struct
from msgspec.structs import replace

Circle = Literal["caseworker", "leader", "organisation", "guardians", "holder", "asked"]
"""Who must hear: one role of the case, the one person named by `News.about`, or those not yet answered."""

Mail = Literal["queued", "delivered", "failed", "inbox", "spared"]
"""How the mail about a notice went; `inbox` means that no address is known, `spared` that it became void."""

FAMILY: Final = frozenset({"guardians", "holder", "asked"})

STOPS: Final = frozenset(
    {"referral_recalled", "referral_withdrawn", "referral_expired", "deletion_nudged", "agreement_ended"}
)
"""What an organisation must hear although, or because, nothing may be shared with it any longer."""


class News(Struct, frozen=True):
    """Something happened that one circle must hear of; `of` is the referral or agreement it belongs to."""

    kind: str
    circle: Circle
    at: datetime
    about: UUID | None
    codes: dict[str, str]
    of: UUID | None = None


class Notice(Struct, frozen=True):
    """One piece of news in the inbox of one recipient."""

    news_id: UUID
    recipient_id: UUID
    mail: Mail = "queued"
    read_at: datetime | None = None


class Custody(Struct, frozen=True):
    """Who held parental responsibility, or had an own say, from a time on."""

    since: datetime
    person_ids: tuple[UUID, ...]


class Request(Struct, frozen=True):
    """One person was asked for a consent, and perhaps has answered."""

    referral_id: UUID
    holder_id: UUID
    at: datetime
    answered_at: datetime | None = None


class Share(Struct, frozen=True):
    """Whether consent lets one organisation know of one referral, and whether it ever did."""

    organisation_id: UUID
    is_open: bool
    was_open: bool


class Case(Struct, frozen=True, tag="case", tag_field="kind"):
    """What is known of one case: its parties, what happened, and the notices that follow from both.

    Every field but `notices` is learned from one service's events alone, which come in order, or is a map
    to which each event adds what is its own; `notices` follow from the rest. So the order in which
    the services are heard leaves no trace. `agreements` names the referral that each grew out of.
    """

    caseworker_id: UUID | None = None
    department_id: UUID | None = None
    custody: tuple[Custody, ...] = ()
    requests: dict[UUID, Request] = {}
    shares: dict[UUID, Share] = {}
    agreements: dict[UUID, UUID] = {}
    sent: frozenset[UUID] = frozenset()
    over: frozenset[UUID] = frozenset()
    news: dict[UUID, News] = {}
    notices: dict[UUID, Notice] = {}


def hearers(case: Case, news: News) -> tuple[UUID, ...]:
    """Return who of a circle is known; the others hear the news as soon as they are."""
    match news.circle:
        case "caseworker":
            return _known(case.caseworker_id)
        case "leader":
            return _known(case.department_id)
        case "holder":
            return _known(news.about)
        case "organisation":
            return _known(news.about if _may_hear(case, news) else None)
        case "guardians":
            return _in_custody(case, news.at)
        case "asked":
            return _unanswered(case, news)


def inform(case: Case) -> tuple[Case, tuple[UUID, ...]]:
    """Return the case with exactly the notices that follow from it, and which of them are new.

    A notice is taken back where a fact that came late shows that it was not for its recipient: custody had
    already passed to others, or the answer that it asks for had already been given.
    """
    known = {(notice.news_id, notice.recipient_id): notice_id for notice_id, notice in case.notices.items()}
    due = [(news_id, who) for news_id, news in case.news.items() for who in hearers(case, news)]
    made = {uuid5(one[0], str(one[1])): one for one in due if one not in known}
    if not made and len(due) == len(known):
        return case, ()
    kept = {known[one]: case.notices[known[one]] for one in due if one in known}
    fresh = {notice_id: Notice(news_id=one[0], recipient_id=one[1]) for notice_id, one in made.items()}
    return replace(case, notices={**kept, **fresh}), tuple(fresh)


def is_open_to(case: Case, organisation_id: UUID, of: UUID | None) -> bool:
    """Return whether consent lets an organisation know of a referral, or of what grew out of it.

    Where it is not known of which, any that has not been stopped will do.
    """
    referral_id = case.agreements.get(of, of) if of else None
    return any(
        share.is_open and share.organisation_id == organisation_id and at not in case.over
        for at, share in case.shares.items()
        if at == referral_id or referral_id not in case.shares
    )


def is_visible(case: Case, notice: Notice) -> bool:
    """Return whether the recipient of a notice still is a party who may read it."""
    news = case.news[notice.news_id]
    if news.circle == "organisation":
        return news.kind in STOPS or is_open_to(case, notice.recipient_id, news.of)
    if news.circle in FAMILY:
        return bool(case.custody) and notice.recipient_id in case.custody[-1].person_ids
    return True


def rests_on_consent(role: str, kind: str) -> bool:
    """Return whether a reader in a role may know of news only while a consent covers it."""
    return role == "coordinator" and kind not in STOPS


def role_of(news: News) -> str:
    """Return in which role the recipients of news read it."""
    if news.circle in FAMILY:
        return "family"
    return "coordinator" if news.circle == "organisation" else news.circle


def _may_hear(case: Case, news: News) -> bool:
    # K3: an organisation hears nothing of a child before a consent that names it is known here.
    return news.kind in STOPS or any(
        share.was_open and share.organisation_id == news.about for share in case.shares.values()
    )


def _in_custody(case: Case, at: datetime) -> tuple[UUID, ...]:
    if not case.custody:
        return ()
    past = [custody for custody in case.custody if custody.since <= at]
    return (past[-1] if past else case.custody[0]).person_ids


def _unanswered(case: Case, news: News) -> tuple[UUID, ...]:
    asked = {
        request.holder_id: None
        for request in case.requests.values()
        if request.referral_id == news.about
        and request.at <= news.at
        and (request.answered_at is None or request.answered_at > news.at)
    }
    return tuple(asked)


def _known(recipient: UUID | None) -> tuple[UUID, ...]:
    return () if recipient is None else (recipient,)
