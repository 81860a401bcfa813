"""What is known of cases, offers, organisations and municipalities: frozen values, one document a stream.

A document holds ids, codes, dates and numbers only; names, birth dates and texts lie sealed beside it.
"""

from datetime import date, datetime
from functools import lru_cache
from typing import TypeAlias
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace


class Help(Struct, frozen=True):
    """Public help that goes on beside the volunteers, and the department that answers for it."""

    kind: str
    department_id: UUID


class Plan(Struct, frozen=True):
    """What a referral asks for, and of whom; it never changes once it is drafted."""

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

    reason: str


Consent: TypeAlias = Granted | Lost


class _Step(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="status"):
    plan: Plan


class Drafted(_Step, frozen=True, kw_only=True, tag="drafted"):
    """An offer is chosen and the public help that goes on is named; nobody outside has heard of it."""


class _Scoped(_Step, frozen=True, kw_only=True):
    scope: Scope


class AwaitingConsent(_Scoped, frozen=True, kw_only=True, tag="awaiting_consent"):
    """All who must consent are asked."""

    remind_on: date
    lapse_on: date


class Ready(_Scoped, frozen=True, kw_only=True, tag="ready"):
    """All have consented; the caseworker may send."""

    send_by: date


class Sent(_Scoped, frozen=True, kw_only=True, tag="sent"):
    """The organisation is asked."""

    sent_at: datetime
    answer_by: date


class Seen(_Scoped, frozen=True, kw_only=True, tag="seen"):
    """The coordinator has opened it; the clock runs on from the sending."""

    sent_at: datetime
    seen_at: datetime
    answer_by: date


class Accepted(_Scoped, frozen=True, kw_only=True, tag="accepted"):
    """The organisation has said yes and a place is taken."""

    accepted_at: datetime
    in_time: bool
    meeting_by: date


class UnderWay(_Scoped, frozen=True, kw_only=True, tag="under_way"):
    """The agreement is in force."""


class Closed(_Scoped, frozen=True, kw_only=True, tag="closed"):
    """The agreement has ended."""

    reason: str
    ended_on: date


class Declined(_Step, frozen=True, kw_only=True, tag="declined"):
    """The organisation has said no."""

    reason: str
    declined_at: datetime
    in_time: bool


class Recalled(_Step, frozen=True, kw_only=True, tag="recalled"):
    """The municipality has taken it back; `delete_by` where a copy had reached the organisation."""

    reason: str
    recalled_at: datetime
    delete_by: date | None = None
    deleted_at: datetime | None = None


class Withdrawn(_Step, frozen=True, kw_only=True, tag="withdrawn"):
    """The consent was lost; `delete_by` where a copy had reached the organisation."""

    reason: str
    withdrawn_at: datetime
    delete_by: date | None = None
    deleted_at: datetime | None = None


class Expired(_Step, frozen=True, kw_only=True, tag="expired"):
    """Nobody answered in time; `step` says what was waited for."""

    step: str
    expired_on: date


Asking: TypeAlias = Sent | Seen
"""The organisation has been asked and has not answered."""

Placed: TypeAlias = Accepted | UnderWay
"""A place of the offer is taken."""

Shared: TypeAlias = Asking | Placed
"""The organisation may read what was consented to, while the consent is valid."""

Open: TypeAlias = Drafted | AwaitingConsent | Ready | Shared
Stopped: TypeAlias = Recalled | Withdrawn
Over: TypeAlias = Closed | Declined | Expired | Stopped
Referral: TypeAlias = Open | Over


class Views(Struct, frozen=True):
    """Whether child and family were heard, declined, or were not heard; their words lie sealed."""

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
    """A case of which something was heard before it was opened here."""

    consents: dict[UUID, Consent] = {}
    custody: Custody | None = None


class Case(Struct, frozen=True, kw_only=True, tag="case", tag_field="kind", omit_defaults=True):
    """One child followed through one version of a model, with all referrals and what is known of consents."""

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
        return _ref(self.model, self.model_version)

    def with_referral(self, referral_id: UUID, referral: Referral) -> "Case":
        """Return the case with one referral added or changed."""
        return replace(self, referrals={**self.referrals, referral_id: referral})


@lru_cache(maxsize=256)
def _ref(model: str, version: int) -> str:
    return f"{model}/{version}"


class Offer(Struct, frozen=True, kw_only=True, tag="offer", tag_field="kind"):
    """What an organisation can do, for whom, how many places it has and how many are taken.

    Only the number is kept: whether a referral has a place, its own state says, saved in the same move.
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
    """Which version of which model a municipality follows."""

    model: str
    model_version: int


State: TypeAlias = Expected | Case | Offer | Organisation | Municipality


def reason_of(referral: Referral) -> str:
    """Return the code of why a referral is over, or nothing."""
    match referral:
        case Closed() | Declined() | Recalled() | Withdrawn():
            return referral.reason
        case Expired():
            return referral.step
        case _:
            return ""


def due_of(referral: Referral) -> date | None:
    """Return the day by which the next step is awaited, if there is one."""
    match referral:
        case AwaitingConsent():
            return referral.lapse_on
        case Ready():
            return referral.send_by
        case Sent() | Seen():
            return referral.answer_by
        case Accepted():
            return referral.meeting_by
        case Recalled() | Withdrawn():
            return None if referral.deleted_at else referral.delete_by
        case _:
            return None
