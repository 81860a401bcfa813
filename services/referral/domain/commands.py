"""Commands on a case and its referrals.

Commands may carry names, dates of birth and texts: these are sealed, never kept in a state or an event.
"""

from collections.abc import Mapping
from datetime import date
from typing import TypeAlias
from uuid import UUID

from msgspec import Struct

from services.referral.domain.states import Help


class Child(Struct, frozen=True, kw_only=True):
    """The child whom a case is about; `residence` is the code of the municipality the child lives in."""

    first_name: str
    family_name: str
    born: date
    residence: str
    language: str = ""
    contact: str = ""
    practical: str = ""


class View(Struct, frozen=True, kw_only=True):
    """One party's own view and proposals; why it is missing, where the party was not heard."""

    answer: str
    view: str = ""
    proposals: str = ""
    why: str = ""


class OpenCase(Struct, frozen=True, kw_only=True):
    """Begin to follow a child."""

    municipality_id: UUID
    department_id: UUID
    child_id: UUID
    child: Child


class NoteViews(Struct, frozen=True, kw_only=True):
    """Put on record how the child and the family see it themselves."""

    child: View
    family: View


class AssessEligibility(Struct, frozen=True, kw_only=True):
    """Hold the model's criteria against the case, and judge in writing whether volunteers can help.

    `answers` holds the professional's yes or no by criterion; age and residence are those on record. Without
    an offer, and without an answer for it, whether one covers the need is left to the draft.
    """

    theme: str
    measure: str
    conditions: tuple[str, ...]
    factors: tuple[str, ...]
    answers: Mapping[str, bool]
    judgement: str
    offer_id: UUID | None = None


class DraftReferral(Struct, frozen=True, kw_only=True):
    """Choose an offer for the case, and say what is needed and what the aim is."""

    municipality_id: UUID
    referral_id: UUID
    organisation_id: UUID
    offer_id: UUID
    purposes: tuple[str, ...]
    public_help: tuple[Help, ...]
    need: str
    aim: str


class AwaitConsent(Struct, frozen=True):
    """Request the consent of all who must give it; without a purpose it is for the referral's first."""

    referral_id: UUID
    facts: tuple[str, ...]
    purpose: str = ""


class SendReferral(Struct, frozen=True):
    """Send the referral to the organisation."""

    referral_id: UUID


class SeeReferral(Struct, frozen=True):
    """Say that the organisation has opened the referral."""

    referral_id: UUID


class AcceptReferral(Struct, frozen=True):
    """Say that the organisation takes the case."""

    referral_id: UUID


class DeclineReferral(Struct, frozen=True):
    """Say that the organisation does not take the case, and why."""

    referral_id: UUID
    reason: str


class RecallReferral(Struct, frozen=True):
    """Take a referral back, and say why."""

    referral_id: UUID
    reason: str


class ConfirmDeletion(Struct, frozen=True):
    """Say that the organisation has deleted its copy of a stopped referral."""

    referral_id: UUID


class CloseCase(Struct, frozen=True):
    """Follow the case no longer, and say why."""

    reason: str


OfReferral: TypeAlias = (
    AwaitConsent
    | SendReferral
    | SeeReferral
    | AcceptReferral
    | DeclineReferral
    | RecallReferral
    | ConfirmDeletion
)
"""A command on one referral of the case."""

OfCase: TypeAlias = NoteViews | AssessEligibility | DraftReferral | CloseCase | OfReferral
Command: TypeAlias = OpenCase | OfCase
