"""States of a case's cooperation agreements, and the parties that have to do with the case; pure."""

from datetime import date, datetime
from typing import Final, Literal, TypeAlias, assert_never
from uuid import UUID

from msgspec import Struct

from services.kernel.decider.derived_ids import derived_id

Party: TypeAlias = Literal["municipality", "organisation", "family", "young_person"]
Trend: TypeAlias = Literal["forward", "steady", "back"]
Payer: TypeAlias = Literal["nobody", "municipality", "organisation", "family", "shared"]

SIGNING: Final[tuple[Party, ...]] = ("municipality", "organisation", "family")
"""The parties that every agreement has; the young person signs besides where their own consent is needed."""

YOUNG_PERSON_TOO: Final = "young_person_and_holders"

CONSENT_LOST: Final = "consent_lost"
RECALLED: Final = "recalled"
NO_MEETING: Final = "no_meeting"
COMPLETED: Final = "completed"


def agreement_of(referral_id: UUID) -> UUID:
    """Return the id of the agreement that a referral leads to, which both services derive alike."""
    return derived_id(referral_id, "agreement")


def goals_name(agreement_id: UUID, version: int) -> str:
    """Return the name of the private value with the words of a version's goals."""
    return f"goals:{agreement_id}:{version}"


def wants_name(agreement_id: UUID, version: int) -> str:
    """Return the name of the private value that says why each party wants to take part."""
    return f"wants:{agreement_id}:{version}"


def cost_name(agreement_id: UUID, version: int) -> str:
    """Return the name of the private value with the words about a version's cost."""
    return f"cost:{agreement_id}:{version}"


def progress_name(agreement_id: UUID, number: int) -> str:
    """Return the name of the private value with the words of a progress update."""
    return f"progress:{agreement_id}:{number}"


class Goal(Struct, frozen=True):
    """One aim without its words: the purpose it serves and the party that answers for it."""

    goal_id: UUID
    purpose: str
    responsible: Party


class Terms(Struct, frozen=True, kw_only=True):
    """What one version of an agreement says, without its words."""

    version: int
    goals: tuple[Goal, ...]
    starts_on: date
    ends_on: date
    update_every_days: int
    evaluate_every_days: int
    cost: str
    payer: Payer


class Signature(Struct, frozen=True):
    """One party's name under one version."""

    party: Party
    by: UUID
    on: date


class Proposal(Struct, frozen=True):
    """A version that waits for signatures."""

    terms: Terms
    signed: tuple[Signature, ...] = ()


class Update(Struct, frozen=True):
    """One progress update: when it was due, and when it came; never where it did not."""

    number: int
    due_on: date
    reported_on: date | None = None
    trend: Trend | None = None

    @property
    def on_time(self) -> bool:
        """Return whether it came by its day."""
        return self.reported_on is not None and self.reported_on <= self.due_on


class About(Struct, frozen=True):
    """What stays the same of an agreement from its beginning to its end."""

    referral_id: UUID
    organisation_id: UUID
    model: str
    invited_on: date


class _Agreement(Struct, frozen=True, kw_only=True, tag_field="status"):
    about: About


class Invited(_Agreement, frozen=True, kw_only=True, tag="invited"):
    """The parties are invited to a start-up meeting."""

    meeting_by: date


class Met(_Agreement, frozen=True, kw_only=True, tag="met"):
    """They have met; the agreement is to be written."""

    held_on: date


class Proposed(_Agreement, frozen=True, kw_only=True, tag="proposed"):
    """The first agreement is ready to be signed."""

    held_on: date
    proposal: Proposal


class InForce(_Agreement, frozen=True, kw_only=True, tag="in_force"):
    """All have signed; `proposal` is a version that may follow, `adjustable` says that one is wanted."""

    held_on: date
    in_force_on: date
    terms: Terms
    signed: tuple[Signature, ...]
    expected: Update
    updates: tuple[Update, ...] = ()
    adjustable: bool = False
    proposal: Proposal | None = None


class Ended(_Agreement, frozen=True, kw_only=True, tag="ended"):
    """It is over; the dates it reached and the last terms in force stay for the figures."""

    reason: str
    ended_on: date
    held_on: date | None = None
    in_force_on: date | None = None
    terms: Terms | None = None
    signed: tuple[Signature, ...] = ()
    updates: tuple[Update, ...] = ()


Open: TypeAlias = Invited | Met | Proposed | InForce
Agreement: TypeAlias = Open | Ended


def status_of(agreement: Agreement) -> str:
    """Return the word for where an agreement stands, as it is stored."""
    return str(agreement.__struct_config__.tag)


class Summary(Struct, frozen=True, kw_only=True):
    """What an agreement has reached, in whichever state it is; what it has not reached is None or empty."""

    meeting_by: date | None = None
    held_on: date | None = None
    in_force_on: date | None = None
    ended_on: date | None = None
    reason: str | None = None
    terms: Terms | None = None
    signed: tuple[Signature, ...] = ()
    proposal: Proposal | None = None
    adjustable: bool = False
    expected: Update | None = None
    updates: tuple[Update, ...] = ()


def summary_of(agreement: Agreement) -> Summary:
    """Return what an agreement has reached; views, figures and the end read nothing else of a state."""
    match agreement:
        case Invited():
            return Summary(meeting_by=agreement.meeting_by)
        case Met():
            return Summary(held_on=agreement.held_on)
        case Proposed():
            return Summary(held_on=agreement.held_on, proposal=agreement.proposal)
        case InForce():
            return Summary(
                held_on=agreement.held_on,
                in_force_on=agreement.in_force_on,
                terms=agreement.terms,
                signed=agreement.signed,
                proposal=agreement.proposal,
                adjustable=agreement.adjustable,
                expected=agreement.expected,
                updates=agreement.updates,
            )
        case Ended():
            return Summary(
                held_on=agreement.held_on,
                in_force_on=agreement.in_force_on,
                ended_on=agreement.ended_on,
                reason=agreement.reason,
                terms=agreement.terms,
                signed=agreement.signed,
                updates=agreement.updates,
            )
        case _:
            assert_never(agreement)


class Cause(Struct, frozen=True, order=True):
    """Why an agreement must end; of several the earliest counts, in whichever order they arrive."""

    at: datetime
    reason: str


class Case(Struct, frozen=True, tag="case", tag_field="kind"):
    """One case: who has to do with it, and its agreements.

    `consents` holds per referral until when the facts may reach the organisation, or None once that is lost;
    a lost consent does not come back, a new one is a new referral's. `causes` may hold the end of an
    agreement whose beginning has not arrived yet. `attained` is the evaluations' last word on each goal.
    """

    department_id: UUID | None = None
    guardians: tuple[UUID, ...] = ()
    young_person_id: UUID | None = None
    quorum: str = ""
    consents: dict[UUID, datetime | None] = {}
    causes: dict[UUID, Cause] = {}
    agreements: dict[UUID, Agreement] = {}
    attained: dict[UUID, str] = {}

    @property
    def family(self) -> tuple[UUID, ...]:
        """Those who speak for the family: each guardian, or the young person where there is none any more."""
        alone = () if self.young_person_id is None else (self.young_person_id,)
        return self.guardians or alone

    @property
    def parties(self) -> tuple[Party, ...]:
        """The parties that must sign: the young person too where the rule of consent asks for theirs."""
        if self.young_person_id is not None and self.quorum == YOUNG_PERSON_TOO:
            return (*SIGNING, "young_person")
        return SIGNING

    def standing(self, signed: tuple[Signature, ...]) -> tuple[Signature, ...]:
        """Return the names that still count: custody may have passed from who signed for the family."""
        speak = {"family": self.family, "young_person": (self.young_person_id,)}
        return tuple(one for one in signed if one.by in speak.get(one.party, (one.by,)))

    def covers(self, referral_id: UUID, now: datetime) -> bool:
        """Return whether the facts of a referral may reach its organisation at a moment."""
        until = self.consents.get(referral_id)
        return until is not None and now < until
