"""States of a case's notices, of their mails, and of how a municipality reaches a recipient."""

from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from msgspec import Struct

Audience = Literal["caseworker", "colleagues", "leader", "organisation", "guardians", "holder", "unanswered"]
"""Whom a notification is for: a role of the case, the one person `about`, or the holders yet to answer."""

FAMILY: Final = frozenset({"guardians", "holder", "unanswered"})

STOPS: Final = frozenset(
    {"referral_recalled", "referral_withdrawn", "referral_expired", "deletion_nudged", "agreement_ended"}
)
"""Kinds that an organisation reads although, or because, nothing may be shared with it any longer."""

ADDRESS: Final = "email"
"""The name of the private value that holds a recipient's address."""

MINUTED: Final = "consent_minuted"
"""The kind of the notice that tells a person of a yes that an employee minuted for them."""

LETTER_NEEDED: Final = "letter_needed"
"""The kind of the notice that no mail about it could be sent: the person is to be told in another way."""

CONTACT_CHANGED: Final = "contact_changed"
"""The kind of the notice that somebody else has changed how a person is reached."""


def former_address(notice_id: UUID) -> str:
    """Return the name of a case's private value that holds the address before it was changed."""
    return f"former_email:{notice_id}"


class Queued(Struct, frozen=True, tag="queued", tag_field="status"):
    """The mail waits to be sent."""


class Delivered(Struct, frozen=True, tag="delivered", tag_field="status"):
    """The mail server has accepted the mail."""


class Failed(Struct, frozen=True, tag="failed", tag_field="status"):
    """The mail server has refused the mail for good."""


class InboxOnly(Struct, frozen=True, tag="inbox", tag_field="status"):
    """No mail was sent: there is no address."""


class Spared(Struct, frozen=True, tag="spared", tag_field="status"):
    """No mail was sent: the recipient may no longer read the notice."""


Mail = Queued | Delivered | Failed | InboxOnly | Spared


class Unread(Struct, frozen=True, tag="unread", tag_field="status"):
    """The recipient has not read the notice."""


class Read(Struct, frozen=True, tag="read", tag_field="status"):
    """The recipient has read the notice."""

    at: datetime


Reading = Unread | Read


_ROLES: Final = {"organisation": "coordinator", "colleagues": "colleague"}


class Notification(Struct, frozen=True):
    """Something that happened and that one audience is notified of.

    `subject_id` is the referral or agreement that it belongs to.
    """

    kind: str
    audience: Audience
    at: datetime
    about: UUID | None
    codes: dict[str, str]
    subject_id: UUID | None = None

    @property
    def role(self) -> str:
        """Return the role in which its recipients read it."""
        if self.audience in FAMILY:
            return "family"
        return _ROLES.get(self.audience, self.audience)


class Notice(Struct, frozen=True):
    """One notification in the inbox of one recipient."""

    notification_id: UUID
    recipient_id: UUID
    mail: Mail = Queued()
    reading: Reading = Unread()


class Custody(Struct, frozen=True):
    """Who held parental responsibility, or had an own say, from a time on."""

    since: datetime
    person_ids: tuple[UUID, ...]


class Answered(Struct, frozen=True):
    """From when on an answer was there; until when, if it turned out not to count."""

    since: datetime
    until: datetime | None = None

    def is_there(self, at: datetime) -> bool:
        """Return whether there was an answer at a time."""
        return self.since <= at and (self.until is None or at < self.until)


class ConsentRequest(Struct, frozen=True):
    """A request to one person for a consent, and when it was answered."""

    referral_id: UUID
    holder_id: UUID
    at: datetime
    answers: tuple[Answered, ...] = ()

    @property
    def is_answered(self) -> bool:
        """Return whether the last answer stands."""
        return bool(self.answers) and self.answers[-1].until is None


class Share(Struct, frozen=True):
    """Whether consent lets one organisation know of one referral, and whether it ever did."""

    organisation_id: UUID
    is_open: bool
    was_open: bool


class Case(Struct, frozen=True, tag="case", tag_field="kind"):
    """One case: its parties, what happened, and the notices that follow from both.

    Every field but `notices` follows from one service's events alone, which come in order, or is a map
    to which each event adds what is its own; `notices` follow from the rest. So the order in which
    the services' topics are consumed leaves no trace. `agreements` names the referral of each.
    """

    caseworker_id: UUID | None = None
    department_id: UUID | None = None
    custody: tuple[Custody, ...] = ()
    requests: dict[UUID, ConsentRequest] = {}
    shares: dict[UUID, Share] = {}
    agreements: dict[UUID, UUID] = {}
    sent: frozenset[UUID] = frozenset()
    over: frozenset[UUID] = frozenset()
    notifications: dict[UUID, Notification] = {}
    notices: dict[UUID, Notice] = {}

    @property
    def family(self) -> tuple[UUID, ...]:
        """The holders of parental responsibility, and the young person with an own say."""
        return self.custody[-1].person_ids if self.custody else ()

    def notification_of(self, notice: Notice) -> Notification:
        """Return what a notice is about."""
        return self.notifications[notice.notification_id]

    def is_visible(self, notice: Notice) -> bool:
        """Return whether the recipient of a notice still is a party who may read it."""
        notification = self.notification_of(notice)
        if notification.audience == "organisation":
            return notification.kind in STOPS or self.is_open_to(notice.recipient_id, notification.subject_id)
        if notification.audience in FAMILY:
            return notice.recipient_id in self.family
        return True

    def is_open_to(self, organisation_id: UUID, subject_id: UUID | None) -> bool:
        """Return whether consent lets an organisation know of a referral, or of what grew out of it.

        Where there is no share of that referral, any that has not been stopped is enough.
        """
        referral_id = self.agreements.get(subject_id, subject_id) if subject_id else None
        return any(
            share.is_open and share.organisation_id == organisation_id and at not in self.over
            for at, share in self.shares.items()
            if at == referral_id or referral_id not in self.shares
        )


class Recipient(Struct, frozen=True, tag="recipient", tag_field="kind"):
    """How a person, organisation or department is reached by one municipality; the address lies sealed."""

    recipient_id: UUID
    language: str
    has_address: bool
    recorded_by: UUID


class Parties(Struct, frozen=True, tag="parties", tag_field="kind"):
    """The departments of a municipality, or an organisation, as one stream of the directory names them."""

    ids: frozenset[UUID] = frozenset()


State = Case | Recipient | Parties
