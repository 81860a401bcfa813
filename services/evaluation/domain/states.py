"""States of a case's collaborations and of their evaluations; pure."""

from datetime import date, datetime
from typing import Final, Literal, TypeAlias
from uuid import UUID

from msgspec import Struct

from services.kernel.decider.derived_ids import derived_id

Voice: TypeAlias = Literal["child", "family", "organisation", "caseworker"]
Answer: TypeAlias = Literal["heard", "declined"]
Choice: TypeAlias = Literal["continue", "adjust", "stop", "complete"]
Attainment: TypeAlias = Literal["reached", "partly", "not_reached"]
Moment: TypeAlias = Literal["start", "end", "after"]
Change: TypeAlias = Literal["better", "same", "worse", "missing"]

NEEDED: Final[tuple[Voice, ...]] = ("child", "family", "organisation")
"""Whose voice must be heard, or declined, before anything is concluded."""


def evaluation_of(agreement_id: UUID, number: int) -> UUID:
    """Return the id of an agreement's first, second … evaluation."""
    return derived_id(agreement_id, f"evaluation:{number}")


def words_name(evaluation_id: UUID, voice: Voice, by: UUID) -> str:
    """Return the name of the private value with one person's words in an evaluation."""
    return f"words:{evaluation_id}:{voice}:{by}"


def note_name(evaluation_id: UUID) -> str:
    """Return the name of the private value with the note on a conclusion."""
    return f"note:{evaluation_id}"


def scores_name(agreement_id: UUID, moment: str) -> str:
    """Return the name of the private value with the scores of a measurement."""
    return f"scores:{agreement_id}:{moment}"


class Spoken(Struct, frozen=True):
    """One person's voice: who put it on record, in which role, and whether they spoke or declined."""

    voice: Voice
    answer: Answer
    by: UUID
    role: str
    on: date


class _Evaluation(Struct, frozen=True, kw_only=True, tag_field="status"):
    number: int
    due_on: date
    voices: tuple[Spoken, ...] = ()


class Planned(_Evaluation, frozen=True, kw_only=True, tag="planned"):
    """Its day is set."""


class Due(_Evaluation, frozen=True, kw_only=True, tag="due"):
    """Its day has come; the voices are waited for."""


class Missed(_Evaluation, frozen=True, kw_only=True, tag="missed"):
    """It was not concluded in time and the next one is planned; it may still be concluded."""


class Concluded(_Evaluation, frozen=True, kw_only=True, tag="concluded"):
    """The parties have decided how it goes on."""

    concluded_on: date
    decision: Choice
    reason: str
    attained: dict[UUID, Attainment]


class Cancelled(_Evaluation, frozen=True, kw_only=True, tag="cancelled"):
    """The collaboration ended first."""


Open: TypeAlias = Planned | Due | Missed
Evaluation: TypeAlias = Open | Concluded | Cancelled


class Measured(Struct, frozen=True):
    """One measurement without its scores, which are private values."""

    measurement_id: UUID
    taken_on: date
    dimensions: tuple[str, ...]


class About(Struct, frozen=True):
    """What stays the same of a collaboration from its beginning to its end."""

    referral_id: UUID
    organisation_id: UUID
    model: str
    dimensions: tuple[str, ...]


class Plan(Struct, frozen=True):
    """What the agreement in force says of time and goals."""

    version: int
    goal_ids: tuple[UUID, ...]
    starts_on: date
    ends_on: date
    evaluate_every_days: int


class _Collaboration(Struct, frozen=True, kw_only=True, tag_field="status"):
    about: About
    plan: Plan
    evaluations: dict[UUID, Evaluation] = {}
    measured: dict[Moment, Measured] = {}
    outcomes: dict[Moment, dict[str, Change]] = {}


class Running(_Collaboration, frozen=True, kw_only=True, tag="running"):
    """The agreement is in force."""


class Over(_Collaboration, frozen=True, kw_only=True, tag="over"):
    """The agreement has ended; `after_on` is when the child is measured once more."""

    ended_on: date
    after_on: date
    reason: str


Collaboration: TypeAlias = Running | Over


class Case(Struct, frozen=True, tag="case", tag_field="kind"):
    """One case: who has to do with it, and its collaborations by the id of their agreement.

    `consents` holds per referral until when the facts may reach the organisation, or None once that is lost;
    a lost consent does not come back, a new one is a new referral's.
    """

    department_id: UUID | None = None
    guardians: tuple[UUID, ...] = ()
    young_person_id: UUID | None = None
    consents: dict[UUID, datetime | None] = {}
    collaborations: dict[UUID, Collaboration] = {}

    @property
    def family(self) -> tuple[UUID, ...]:
        """Those who speak for the family: each guardian, or the young person where there is none any more."""
        alone = () if self.young_person_id is None else (self.young_person_id,)
        return self.guardians or alone

    def covers(self, referral_id: UUID, now: datetime) -> bool:
        """Return whether the facts of a referral may reach its organisation at a moment."""
        until = self.consents.get(referral_id)
        return until is not None and now < until

    def has_lost(self, referral_id: UUID) -> bool:
        """Return whether the consent behind a referral has been lost."""
        return referral_id in self.consents and self.consents[referral_id] is None

    def agreement_of(self, evaluation_id: UUID) -> UUID | None:
        """Return the agreement that an evaluation belongs to."""
        return next((at for at, one in self.collaborations.items() if evaluation_id in one.evaluations), None)


def status_of(value: Evaluation | Collaboration) -> str:
    """Return the word for where an evaluation or a collaboration stands, as it is stored."""
    return str(value.__struct_config__.tag)
