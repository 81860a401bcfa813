"""States of a municipality, an organisation, an offer, accounts and their roles, invitations, families."""

from datetime import date, datetime
from uuid import UUID

from msgspec import Struct


class Department(Struct, frozen=True):
    """A unit of the municipality that takes part, and since when."""

    kind: str
    name: str
    since: date


class Adoption(Struct, frozen=True):
    """One version of a model that was followed from a day on; `sha256` is the digest of its content."""

    model: str
    version: int
    sha256: str
    since: date


class Revoked(Struct, frozen=True, tag="revoked", tag_field="status"):
    """A person or a token is let in no more, since a time."""

    since: datetime


class Restored(Struct, frozen=True, tag="restored", tag_field="status"):
    """A person or a token is let in again, since a time."""

    since: datetime


Access = Revoked | Restored


class Municipality(Struct, frozen=True, tag="municipality", tag_field="kind"):
    """The public party: the models it has followed, the latest last, its departments, and whom it lets in.

    `accesses` are by the person's id, or by the SHA-256 of a token's.
    """

    adoptions: tuple[Adoption, ...] = ()
    departments: dict[UUID, Department] = {}
    accesses: dict[str, Access] = {}

    @property
    def adoption(self) -> Adoption | None:
        """Return what the municipality follows now."""
        return self.adoptions[-1] if self.adoptions else None


class Period(Struct, frozen=True):
    """A time in which an organisation took part, and why it ended."""

    joined_on: date
    left_on: date
    reason: str


class Joined(Struct, frozen=True, tag="joined", tag_field="status"):
    """The organisation takes part: it accepted these terms, and its child-protection declaration runs."""

    terms: str
    joined_on: date
    declaration_until: date


class Left(Struct, frozen=True, tag="left", tag_field="status"):
    """The organisation takes part no longer."""

    left_on: date


Membership = Joined | Left


class Organisation(Struct, frozen=True, tag="organisation", tag_field="kind"):
    """A voluntary association: its public name, whether it takes part, and when it did before."""

    name: str
    number: str
    membership: Membership
    before: tuple[Period, ...] = ()


class Offer(Struct, frozen=True, tag="offer", tag_field="kind"):
    """What an organisation can do, for whom, for how many at a time; the places were confirmed `as_of`."""

    organisation_id: UUID
    title: str
    theme: str
    format: str
    age_from: int
    age_to: int
    areas: tuple[str, ...]
    price: str
    places: int
    as_of: date


class Position(Struct, frozen=True):
    """A role, and where: in a department, an organisation, as a person of a family, or the municipality."""

    role: str
    department_id: UUID | None = None
    organisation_id: UUID | None = None
    person_id: UUID | None = None


class Entry(Struct, frozen=True):
    """One line of a membership's history: what was done, when and by whom; `until` is what then held."""

    what: str
    at: datetime
    by: UUID
    until: date | None = None


class Running(Struct, frozen=True, tag="running", tag_field="status"):
    """A role that an account has, from a day on; without `until` it goes on. Both days are whole ones."""

    position: Position
    since: date
    until: date | None
    history: tuple[Entry, ...]


class Ended(Struct, frozen=True, tag="ended", tag_field="status"):
    """A role that an account had until a last day; `successor_id` is the account that took it over."""

    position: Position
    since: date
    last_day: date
    reason: str
    history: tuple[Entry, ...]
    successor_id: UUID | None = None


AccountMembership = Running | Ended


class Account(Struct, frozen=True, tag="account", tag_field="kind"):
    """A person who signs in, by a random id: their roles, and who stands in for them.

    What they are called and how they are reached is sealed under the account's own key.
    """

    municipality_id: UUID
    opened_at: datetime
    opened_by: UUID
    memberships: dict[UUID, AccountMembership] = {}
    identities: frozenset[UUID] = frozenset()
    deputy_id: UUID | None = None


class Machine(Struct, frozen=True, tag="machine", tag_field="kind"):
    """A program with a role: its name, and the public key (JWK, as JSON) by which it proves itself."""

    municipality_id: UUID
    opened_at: datetime
    opened_by: UUID
    name: str
    key: str
    memberships: dict[UUID, AccountMembership] = {}


class Open(Struct, frozen=True, tag="open", tag_field="status"):
    """The code of the invitation can be used."""


class Used(Struct, frozen=True, tag="used", tag_field="status"):
    """Somebody has the role by this invitation."""

    at: datetime
    account_id: UUID


class Lapsed(Struct, frozen=True, tag="lapsed", tag_field="status"):
    """The code was not used in time."""

    at: datetime


class TakenBack(Struct, frozen=True, tag="revoked", tag_field="status"):
    """The invitation was revoked before its code was used."""

    at: datetime
    by: UUID


InvitationStage = Open | Used | Lapsed | TakenBack


class Invitation(Struct, frozen=True, tag="invitation", tag_field="kind"):
    """An invitation to a role, for whoever signs in and gives its code, of which only a keyed digest is kept.

    `account_id` is the account that is opened where the person has none; `until` is the last day of the role.
    `named_in` are the cases of which one names a person of a family.
    """

    position: Position
    account_id: UUID
    code_digest: str
    made_at: datetime
    made_by: UUID
    expires_on: date
    until: date | None
    stage: InvitationStage = Open()
    named_in: tuple[UUID, ...] = ()


class Identity(Struct, frozen=True, tag="identity", tag_field="kind"):
    """Whose account an identity belongs to; the stream's id is made from its keyed digest."""

    account_id: UUID


class Bound(Struct, frozen=True, tag="bound", tag_field="status"):
    """The person signs in by an account."""

    account_id: UUID
    membership_id: UUID


class Released(Struct, frozen=True, tag="released", tag_field="status"):
    """The person has no account now."""


Binding = Bound | Released


class Person(Struct, frozen=True, tag="person", tag_field="kind"):
    """Somebody of a family, as custody and consents name them: by which account they sign in."""

    binding: Binding


class FamilyCase(Struct, frozen=True, tag="case", tag_field="kind"):
    """The department of a case and who belongs to the family, each as the service that owns it says last.

    Each field comes from events of one service alone, so that the order of the topics leaves no trace.
    `custody_confirmed` is the time of the record that was confirmed, which may be an earlier one.
    """

    department_id: UUID | None = None
    child_id: UUID | None = None
    holder_ids: frozenset[UUID] = frozenset()
    young_person_id: UUID | None = None
    custody_recorded_at: datetime | None = None
    custody_confirmed: datetime | None = None

    @property
    def is_confirmed(self) -> bool:
        """Whether a second employee has confirmed custody as it is on record now."""
        return self.custody_recorded_at is not None and self.custody_confirmed == self.custody_recorded_at

    def role_of(self, person_id: UUID) -> str | None:
        """Return the role in which a person of this case signs in; None for anybody else."""
        if person_id in self.holder_ids:
            return "guardian"
        return "young_person" if person_id in {self.child_id, self.young_person_id} else None


class Administrators(Struct, frozen=True, tag="administrators", tag_field="kind"):
    """The memberships by which a municipality has administrators, each with its first day."""

    since: dict[UUID, date] = {}


class WrongCode(Struct, frozen=True):
    """A code that no invitation has was given, by somebody with an identity."""

    at: datetime
    identity_id: UUID


class WrongCodes(Struct, frozen=True, tag="wrong_codes", tag_field="kind"):
    """The wrong codes that were given in a municipality within the last hour."""

    given: tuple[WrongCode, ...] = ()


Holder = Account | Machine
Shared = Municipality | Organisation | Offer
"""What everybody in the municipality reads: nothing in it is about a person."""

State = Shared | Account | Machine | Invitation | Identity | Person | FamilyCase | Administrators | WrongCodes
