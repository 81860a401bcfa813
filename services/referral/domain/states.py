"""States of cases, referrals, offers, organisations and municipalities: frozen values, one document a stream.

A document holds ids, codes, dates and numbers only; names, birth dates and texts are sealed apart from it.
"""

from datetime import date, datetime
from typing import ClassVar, TypeAlias
from uuid import UUID

from msgspec import Struct


class Help(Struct, frozen=True):
    """Public help that goes on beside the volunteers, and the department that answers for it."""

    kind: str
    department_id: UUID


class Plan(Struct, frozen=True):
    """The offer that a referral is for, and why; it never changes once it is drafted."""

    organisation_id: UUID
    offer_id: UUID
    purposes: tuple[str, ...]
    public_help: tuple[Help, ...]


class Scope(Struct, frozen=True):
    """Which facts may reach the organisation, and for which purpose: what the consent must cover."""

    purpose: str
    facts: tuple[str, ...]


class Granted(Struct, frozen=True, tag="granted", tag_field="consent"):
    """All who must consent have done so, until a time."""

    organisation_id: UUID
    scope: Scope
    until: datetime


class Lost(Struct, frozen=True, tag="lost", tag_field="consent"):
    """The consent was refused, has lapsed, was taken back or has run out."""

    until: ClassVar[None] = None
    reason: str


Consent: TypeAlias = Granted | Lost


class _Referral(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="status"):
    plan: Plan


class _Open(_Referral, frozen=True, kw_only=True):
    reason: ClassVar[str] = ""
    """Why a referral is over, by a code; empty while it is open."""


class Drafted(_Open, frozen=True, kw_only=True, tag="drafted"):
    """An offer is chosen and the public help that goes on is named; nothing has left the municipality."""

    in_time: ClassVar[None] = None


class _Scoped(_Open, frozen=True, kw_only=True):
    scope: Scope


class _Unanswered(_Scoped, frozen=True, kw_only=True):
    in_time: ClassVar[None] = None
    """Whether the organisation answered by the day that it had; None where it has not answered."""


class AwaitingConsent(_Unanswered, frozen=True, kw_only=True, tag="awaiting_consent"):
    """The consent of all who must give it has been requested."""

    remind_on: date
    lapse_on: date


class Ready(_Unanswered, frozen=True, kw_only=True, tag="ready"):
    """All have consented; the caseworker may send."""

    send_by: date


class Sent(_Unanswered, frozen=True, kw_only=True, tag="sent"):
    """The organisation has the referral and owes an answer."""

    sent_at: datetime
    answer_by: date


class Seen(_Unanswered, frozen=True, kw_only=True, tag="seen"):
    """The coordinator has opened it; the day of the answer stays as it was at the sending."""

    sent_at: datetime
    seen_at: datetime
    answer_by: date


class Accepted(_Scoped, frozen=True, kw_only=True, tag="accepted"):
    """The organisation has said yes and a place of its offer is taken."""

    accepted_at: datetime
    in_time: bool
    meeting_by: date


class UnderWay(_Scoped, frozen=True, kw_only=True, tag="under_way"):
    """The agreement is in force."""

    in_time: bool


class Closed(_Referral, frozen=True, kw_only=True, tag="closed"):
    """The agreement has ended."""

    scope: Scope
    reason: str
    ended_on: date
    in_time: bool


class Declined(_Referral, frozen=True, kw_only=True, tag="declined"):
    """The organisation has said no."""

    reason: str
    declined_at: datetime
    in_time: bool


class Recalled(_Referral, frozen=True, kw_only=True, tag="recalled"):
    """The municipality has taken it back; `delete_by` where a copy had reached the organisation."""

    reason: str
    recalled_at: datetime
    delete_by: date | None = None
    deleted_at: datetime | None = None
    in_time: bool | None = None


class Withdrawn(_Referral, frozen=True, kw_only=True, tag="withdrawn"):
    """The consent was lost; `delete_by` where a copy had reached the organisation."""

    reason: str
    withdrawn_at: datetime
    delete_by: date | None = None
    deleted_at: datetime | None = None
    in_time: bool | None = None


class Expired(_Referral, frozen=True, kw_only=True, tag="expired"):
    """The wait ended without an answer; `step` says what was waited for."""

    in_time: ClassVar[None] = None
    step: str
    expired_on: date

    @property
    def reason(self) -> str:
        """Return what was waited for."""
        return self.step


Asking: TypeAlias = Sent | Seen
"""The organisation has the referral and has not answered."""

Placed: TypeAlias = Accepted | UnderWay
"""A place of the offer is taken."""

Shared: TypeAlias = Asking | Placed
"""The organisation may read what was consented to, while the consent is valid."""

Open: TypeAlias = Drafted | AwaitingConsent | Ready | Shared
Stopped: TypeAlias = Recalled | Withdrawn
Over: TypeAlias = Closed | Declined | Expired | Stopped
Referral: TypeAlias = Open | Over


class Views(Struct, frozen=True):
    """Whether child and family said how they see it, or declined, or why not; their words are sealed."""

    child: str
    family: str
    noted_at: datetime


class Eligibility(Struct, frozen=True):
    """The answer of the model's criteria, who judged, and the theme that the need lies in."""

    eligible: bool
    statutory_channel: bool
    reasons: tuple[str, ...]
    theme: str
    measure: str
    assessed_by: UUID
    assessed_at: datetime


class Custody(Struct, frozen=True):
    """Who holds parental responsibility, and the young person where they decide too."""

    holder_ids: tuple[UUID, ...]
    young_person_id: UUID | None


class Ending(Struct, frozen=True):
    """Why and when a case was closed."""

    reason: str
    closed_at: datetime


class Expected(Struct, frozen=True, kw_only=True, tag="expected", tag_field="kind", omit_defaults=True):
    """A case of which an event was consumed before the case was opened here."""

    consents: dict[UUID, Consent] = {}
    custody: Custody | None = None


class Case(Struct, frozen=True, kw_only=True, tag="case", tag_field="kind", omit_defaults=True):
    """One child followed through one version of a model, with all referrals and the consents on record."""

    child_id: UUID
    department_id: UUID
    caseworker_id: UUID
    model: str
    model_version: int
    opened_at: datetime
    views: Views | None = None
    eligibility: Eligibility | None = None
    referrals: dict[UUID, Referral] = {}
    consents: dict[UUID, Consent] = {}
    custody: Custody | None = None
    ending: Ending | None = None

    @property
    def ref(self) -> str:
        """Return the name of the model version that the case follows: `kerteminde/1`."""
        return f"{self.model}/{self.model_version}"


class Offer(Struct, frozen=True, kw_only=True, tag="offer", tag_field="kind"):
    """What an organisation can do, for whom, how many places it has and how many are taken.

    Only the number is kept: whether a referral has a place follows from its own state, saved with the offer.
    """

    organisation_id: UUID
    theme: str
    age_from: int
    age_to: int
    areas: tuple[str, ...]
    places: int
    taken: int = 0


class Organisation(Struct, frozen=True, kw_only=True, tag="organisation", tag_field="kind"):
    """Whether an organisation takes part, and how long its child-protection declaration is current."""

    joined: bool
    declaration_until: date


class Municipality(Struct, frozen=True, kw_only=True, tag="municipality", tag_field="kind"):
    """Which version of which model a municipality follows, and which departments take part."""

    model: str
    model_version: int
    departments: tuple[UUID, ...] = ()


State: TypeAlias = Expected | Case | Offer | Organisation | Municipality
